//! An inquiry about a project from text.

use std::net::SocketAddr;

use envrun::config::{self, Request};
use envrun::diagnosis::looks::{Dialled, Look, Reach, Seen};
use envrun::diagnosis::{Inquiry, Occasion, Standing, Topology};
use envrun::name::{RunId, ServiceName};
use envrun::plan::{Plan, Selection};

/// One question, with what was seen.
pub(crate) struct Question {
    pub(crate) inquiry: Inquiry,
    pub(crate) seen: Seen,
}

impl Question {
    /// Why did `subject` fail? Everybody else runs and is ready.
    pub(crate) fn new(compose: &str, subject: &str, occasion: Occasion) -> Self {
        let directory = tempfile::tempdir().expect("temporary directory");
        std::fs::write(directory.path().join("compose.yaml"), compose).expect("written");
        let request = Request {
            directory: directory.path().to_path_buf(),
            project_name: Some("test".to_owned()),
            ..Request::default()
        };
        let project = config::load(&request)
            .unwrap_or_else(|problems| panic!("{}", problems.render(false, 100)))
            .project;
        let run = RunId::from_u128(0);
        let alone = Selection {
            environment_only: true,
            ..Selection::default()
        };
        // A project without suites has an environment all the same.
        let plan = Plan::new(&project, run, &Selection::default())
            .or_else(|_| Plan::new(&project, run, &alone))
            .expect("a plan");
        let mut topology = Topology::new(&plan);
        for node in topology.services.values_mut() {
            node.standing = Standing::Running { ready: true };
        }
        let subject = ServiceName::from(subject);
        let failed = topology.services.get_mut(&subject).expect("the subject");
        failed.standing = match occasion {
            Occasion::NotReady => Standing::Running { ready: false },
            Occasion::NotStarted => Standing::NotStarted,
            _ => Standing::Ended("exited with code 1".to_owned()),
        };
        Self {
            inquiry: Inquiry {
                subject,
                occasion,
                probed: Default::default(),
                topology,
            },
            seen: Seen::default(),
        }
    }

    /// It has written these lines.
    pub(crate) fn says(mut self, output: &str) -> Self {
        self.seen.output = output.lines().map(str::to_owned).collect();
        self
    }

    /// Another service stands so.
    pub(crate) fn with(mut self, service: &str, standing: Standing) -> Self {
        let node = self.inquiry.topology.services.get_mut(service);
        node.expect("the service").standing = standing;
        self
    }

    /// A host does not resolve.
    pub(crate) fn unresolved(mut self, host: &str, port: Option<u16>) -> Self {
        let reach = Reach {
            resolved: Some(Err("no such name".to_owned())),
            dialled: None,
        };
        self.seen.reached.insert((host.to_owned(), port), reach);
        self
    }

    /// A host resolves, and a connection to a port of it came to this.
    pub(crate) fn dialled(mut self, host: &str, port: u16, dialled: Dialled) -> Self {
        let address: SocketAddr = format!("10.232.0.3:{port}").parse().expect("an address");
        let resolved = host.parse::<std::net::IpAddr>().is_err();
        let reach = Reach {
            resolved: resolved.then(|| Ok(vec![address.ip()])),
            dialled: Some((address, dialled)),
        };
        self.seen
            .reached
            .insert((host.to_owned(), Some(port)), reach);
        self
    }

    /// These addresses are listened on beside a service.
    pub(crate) fn listening(mut self, service: &str, addresses: &[&str]) -> Self {
        let addresses = addresses.iter().map(|one| one.parse().expect("an address"));
        self.seen
            .listeners
            .insert(service.into(), addresses.collect());
        self
    }

    /// What is worth a look.
    pub(crate) fn looks(&self) -> Vec<Look> {
        self.inquiry.looks(&self.seen.output)
    }

    /// The causes as text.
    pub(crate) fn told(&self) -> String {
        let causes = self.inquiry.causes(&self.seen);
        let told = causes.iter().map(|cause| {
            let sure = if cause.confirmed { "" } else { " (likely)" };
            let mut text = format!("{}{sure}: {}", cause.kind, cause.message);
            for evidence in &cause.evidence {
                text.push_str(&format!("\n  - {evidence}"));
            }
            if let Some(remedy) = &cause.remedy {
                text.push_str(&format!("\n  fix: {remedy}"));
            }
            text
        });
        told.collect::<Vec<_>>().join("\n")
    }
}
