//! What `ci/bench` compares envrun with: the work of `scenarios/ci-pipeline`, for this one pipeline
//! only, with each engine call placed by hand where it belongs on the critical path.
//!
//! It does what an expert would who wanted this pipeline to be over as soon as can be: all
//! containers exist before they are needed, the database is started first, readiness is asked every
//! few milliseconds over the network, and everything is started the moment it may start. It knows
//! what envrun has to find out (files, images, graph, ports), and it has no watchdog, no event log
//! and no merged report. It must never be slower than it could be: where envrun overtakes it, it is
//! to be improved.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for ci/bench, which reads its output"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "the clock module is a part of what this is compared with"
)]

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fmt::Write as _;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::exec::StartExecResults;
use bollard::models::{
    ContainerCreateBody, EndpointSettings, ExecConfig, HostConfig, Ipam, IpamConfig, Mount,
    MountType, MountVolumeOptions, NetworkCreateRequest, NetworkingConfig,
};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder,
    DownloadFromContainerOptionsBuilder, InspectContainerOptions, ListContainersOptionsBuilder,
    ListNetworksOptionsBuilder, ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveImageOptionsBuilder, RemoveVolumeOptionsBuilder, StartContainerOptions,
    WaitContainerOptionsBuilder,
};
use clap::Parser;
use envrun::engine::docker::DockerEngine;
use envrun::engine::{BuildContext, BuildOptions, BuildSpec, DockerfileSource, Engine as _};
use futures::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::RwLock;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// Everything that a benchmark makes carries this label with the benchmark's id, so that `ci/bench`
/// can remove it.
const SESSION_LABEL: &str = "dev.envrun.bench";

/// What belongs to one run of this program carries this one too, so that it can verify its own
/// teardown.
const RUN_LABEL: &str = "dev.envrun.bench.run";

/// Pause between two questions to a server that is not ready.
const PAUSE: Duration = Duration::from_millis(3);

/// Limit of one question. A container that has no address yet may leave a connection unanswered.
const ATTEMPT: Duration = Duration::from_millis(500);

/// Limit of each wait.
const DEADLINE: Duration = Duration::from_secs(120);

/// Subnets tried before giving up: a run beside this one may hold the first.
const SUBNET_ATTEMPTS: u8 = 20;

const SERVICES: [&str; 6] = ["db", "migrate", "api", "unit", "integration", "e2e"];

type Problem = Box<dyn Error + Send + Sync>;
type Fallible<T> = Result<T, Problem>;

/// The work of the scenario ci-pipeline by hand-placed engine calls.
#[derive(Debug, Parser)]
enum Arguments {
    /// Builds the application's image and prints its id
    Build {
        /// Id of the benchmark
        session: String,
        /// Directory of the application
        context: PathBuf,
        /// Image that the application's starts from
        base_image: String,
    },
    /// Runs the pipeline once and prints how long it took, as JSON
    Run {
        /// Id of the benchmark
        session: String,
        /// Directory for reports, logs and the timeline
        out: PathBuf,
        /// Image of the database
        postgres: String,
        /// Image of the application; without it, it is built in each run
        #[arg(long)]
        app: Option<String>,
        /// Directory of the application
        #[arg(long, required_unless_present = "app")]
        context: Option<PathBuf>,
        /// Image that the application's starts from
        #[arg(long, required_unless_present = "app")]
        base_image: Option<String>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let begun = Instant::now();
    let result = match Arguments::parse() {
        Arguments::Build {
            session,
            context,
            base_image,
        } => {
            let labels = BTreeMap::from([(SESSION_LABEL.to_owned(), session.clone())]);
            let built = build(&format!("app-{session}"), labels, &context, base_image).await;
            built.map(|image| println!("{image}"))
        }
        Arguments::Run {
            session,
            out,
            postgres,
            app,
            context,
            base_image,
        } => match Hand::new(begun, session, out, postgres) {
            Ok(hand) => {
                let app = match app {
                    Some(image) => Application::Image(image),
                    None => Application::Build(
                        context.unwrap_or_default(),
                        base_image.unwrap_or_default(),
                    ),
                };
                Box::pin(Arc::new(hand).run(app)).await
            }
            Err(error) => Err(error),
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hand-placed: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Where the image of the application comes from.
enum Application {
    Image(String),
    Build(PathBuf, String),
}

/// The same build that envrun does, by the same code, since only the placing of the calls is
/// compared.
async fn build(
    name: &str,
    labels: BTreeMap<String, String>,
    context: &Path,
    base_image: String,
) -> Fallible<String> {
    let engine = DockerEngine::from_environment()?;
    let spec = BuildSpec {
        name: format!("envrun-bench/{name}"),
        title: name.to_owned(),
        labels,
        context: BuildContext::Directory(std::path::absolute(context)?),
        dockerfile: DockerfileSource::File(PathBuf::from("Dockerfile")),
        args: BTreeMap::from([("BASE_IMAGE".to_owned(), base_image)]),
        target: None,
        contexts: BTreeMap::new(),
        secrets: BTreeMap::new(),
        ssh: BTreeMap::new(),
        options: BuildOptions::default(),
        mirrors: envrun::image::Mirrors::default(),
    };
    let id = engine.build_image(&spec, &|_printed| {}).await?;
    Ok(id.to_string())
}

/// One run.
struct Hand {
    docker: Docker,
    begun: Instant,
    session: String,
    run: Uuid,
    out: PathBuf,
    postgres: String,
    /// Held for reading by each creating call: a dropped call may still land, so teardown waits for
    /// all of them.
    creating: Arc<RwLock<()>>,
    timeline: Mutex<String>,
}

impl Hand {
    fn new(begun: Instant, session: String, out: PathBuf, postgres: String) -> Fallible<Self> {
        std::fs::create_dir_all(&out)?;
        Ok(Self {
            docker: Docker::connect_with_defaults()?,
            begun,
            session,
            run: Uuid::new_v4(),
            out,
            postgres,
            creating: Arc::new(RwLock::new(())),
            timeline: Mutex::new(String::new()),
        })
    }

    /// The pipeline, then teardown, whatever came of the pipeline.
    async fn run(self: Arc<Self>, app: Application) -> Fallible<()> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let verdict = tokio::select! {
            verdict = self.pipeline(app) => verdict,
            _ = interrupt.recv() => Err("interrupted".into()),
            _ = terminate.recv() => Err("terminated".into()),
        };
        let verdict_after = self.mark("verdict");
        let torn_down = self.tear_down().await;
        let total = self.mark("torn down");
        let timeline = self.timeline.lock().unwrap_or_else(PoisonError::into_inner);
        std::fs::write(self.out.join("timeline.txt"), timeline.as_bytes())?;
        verdict?;
        torn_down?;
        println!("{{\"verdict_ms\":{verdict_after},\"total_ms\":{total}}}");
        Ok(())
    }

    /// Notes what has happened, with the milliseconds since the start, which it returns.
    fn mark(&self, what: &str) -> u128 {
        let elapsed = self.begun.elapsed().as_millis();
        let mut timeline = self.timeline.lock().unwrap_or_else(PoisonError::into_inner);
        // Writing to a string cannot fail.
        let _ = writeln!(timeline, "{elapsed:>6} {what}");
        elapsed
    }

    async fn pipeline(self: &Arc<Self>, app: Application) -> Fallible<()> {
        let labels = self.labels().into_iter().collect();
        let image = async {
            match app {
                Application::Image(image) => Ok(self.docker.inspect_image(&image).await?.id),
                Application::Build(context, base) => {
                    let name = format!("run-{}", self.run.simple());
                    Ok::<_, Problem>(Some(build(&name, labels, &context, base).await?))
                }
            }
        };
        // The database is begun without waiting for the application's image.
        let (network_known, network) = tokio::sync::watch::channel(None);
        let database = async {
            let (postgres, network) =
                futures::join!(self.docker.inspect_image(&self.postgres), self.network());
            let network = network?;
            let image = postgres?.id.ok_or("the database's image has no id")?;
            let id = self.create("db", &image, &network).await?;
            let started = self.start("db", &id).await?;
            // Only now the others: their creation would slow down the start that all else waits
            // for.
            let _ = network_known.send(Some(network));
            self.database_ready(&id).await?;
            drop(started);
            Ok::<_, Problem>(())
        };
        let containers = async {
            let image = image.await?.ok_or("the application's image has no id")?;
            let mut network = network;
            let network = network.wait_for(Option::is_some).await?.clone();
            let network = network.unwrap_or_default();
            let unit = self.create("unit", &image, &network).await?;
            let unit = tokio::spawn(Arc::clone(self).suite("unit", unit));
            let (migrate, api, integration, e2e) = futures::join!(
                self.create("migrate", &image, &network),
                self.create("api", &image, &network),
                self.create("integration", &image, &network),
                self.create("e2e", &image, &network),
            );
            Ok::<_, Problem>((unit, migrate?, api?, integration?, e2e?))
        };
        let (database, containers) = futures::join!(database, containers);
        let () = database?;
        let (unit, migrate, api, integration, e2e) = containers?;

        let migrated = self.start("migrate", &migrate).await?;
        self.exit("migrate", &migrate, migrated).await?;
        // Two starts at once take the engine about twice as long as one, and only the API's is
        // waited for by anybody else.
        let served = self.start("api", &api).await?;
        let integration = tokio::spawn(Arc::clone(self).suite("integration", integration));
        self.api_ready(&api).await?;
        drop(served);
        let (unit, integration, e2e) =
            futures::join!(unit, integration, Arc::clone(self).suite("e2e", e2e));
        unit??;
        integration??;
        e2e
    }

    fn labels(&self) -> HashMap<String, String> {
        HashMap::from([
            (SESSION_LABEL.to_owned(), self.session.clone()),
            (RUN_LABEL.to_owned(), self.run.to_string()),
        ])
    }

    fn name(&self, service: &str) -> String {
        format!("envrun-bench-{}-{service}", self.run.simple())
    }

    /// Runs a creating call to its end, even if nobody waits for it any more.
    async fn creating<T: Send + 'static>(
        &self,
        call: impl Future<Output = Result<T, bollard::errors::Error>> + Send + 'static,
    ) -> Fallible<T> {
        let guard = Arc::clone(&self.creating).read_owned().await;
        let call = tokio::spawn(async move {
            let answer = call.await;
            drop(guard);
            answer
        });
        Ok(call.await??)
    }

    /// A network on a subnet of its own, which spares the engine's small pool of defaults.
    async fn network(&self) -> Fallible<String> {
        let mut last = None;
        for attempt in 0..SUBNET_ATTEMPTS {
            let [.., high, low] = *self.run.as_bytes();
            let subnet = Ipv4Addr::new(10, 231, high.wrapping_add(attempt), low & 0xf0);
            let request = NetworkCreateRequest {
                name: self.name("pipeline"),
                ipam: Some(Ipam {
                    config: Some(vec![IpamConfig {
                        subnet: Some(format!("{subnet}/28")),
                        ..IpamConfig::default()
                    }]),
                    ..Ipam::default()
                }),
                labels: Some(self.labels()),
                ..NetworkCreateRequest::default()
            };
            let docker = self.docker.clone();
            match self
                .creating(async move { docker.create_network(request).await })
                .await
            {
                Ok(created) => {
                    self.mark("network created");
                    return Ok(created.id);
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| "no subnet was tried".into()))
    }

    /// The database's files get a volume with a name, since an anonymous one would be removed with
    /// its container, and the network's removal would wait for that.
    fn data(&self) -> Mount {
        Mount {
            typ: Some(MountType::VOLUME),
            source: Some(self.name("data")),
            target: Some("/var/lib/postgresql/data".to_owned()),
            volume_options: Some(MountVolumeOptions {
                labels: Some(self.labels()),
                ..MountVolumeOptions::default()
            }),
            ..Mount::default()
        }
    }

    async fn create(&self, service: &str, image: &str, network: &str) -> Fallible<String> {
        let (command, environment) = definition(service);
        let endpoint = EndpointSettings {
            aliases: Some(vec![service.to_owned()]),
            ..EndpointSettings::default()
        };
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            cmd: (!command.is_empty()).then_some(command),
            env: Some(environment),
            labels: Some(self.labels()),
            host_config: Some(HostConfig {
                network_mode: Some(network.to_owned()),
                mounts: (service == "db").then(|| vec![self.data()]),
                ..HostConfig::default()
            }),
            networking_config: Some(NetworkingConfig {
                endpoints_config: Some(HashMap::from([(network.to_owned(), endpoint)])),
            }),
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptionsBuilder::default()
            .name(&self.name(service))
            .build();
        let docker = self.docker.clone();
        let created = self
            .creating(async move { docker.create_container(Some(options), body).await })
            .await?;
        self.mark(&format!("{service} created"));
        Ok(created.id)
    }

    /// Attaches, so that no byte of the output is lost, and starts. The task returned ends with the
    /// output.
    async fn start(&self, service: &str, id: &str) -> Fallible<JoinHandle<()>> {
        self.mark(&format!("{service} start asked for"));
        let options = AttachContainerOptionsBuilder::default()
            .stream(true)
            .stdout(true)
            .stderr(true)
            .build();
        let mut attached = self.docker.attach_container(id, Some(options)).await?;
        let mut log = tokio::fs::File::create(self.out.join(format!("{service}.log"))).await?;
        let draining = tokio::spawn(async move {
            while let Some(Ok(chunk)) = attached.output.next().await {
                let _ = log.write_all(&chunk.into_bytes()).await;
            }
            let _ = log.flush().await;
        });
        self.docker
            .start_container(id, None::<StartContainerOptions>)
            .await?;
        self.mark(&format!("{service} started"));
        Ok(draining)
    }

    async fn address(&self, id: &str) -> Fallible<Ipv4Addr> {
        let inspected = self
            .docker
            .inspect_container(id, None::<InspectContainerOptions>)
            .await?;
        let networks = inspected
            .network_settings
            .and_then(|settings| settings.networks);
        let address = networks
            .and_then(|networks| networks.into_values().next())
            .and_then(|endpoint| endpoint.ip_address)
            .ok_or("a container has no address")?;
        Ok(address.parse()?)
    }

    /// Ready is what envrun takes for it: sessions are accepted over the network, and the
    /// healthcheck passes.
    async fn database_ready(&self, id: &str) -> Fallible<()> {
        let address = SocketAddr::new(self.address(id).await?.into(), 5432);
        until(|| accepts_sessions(address)).await?;
        self.mark("db accepts sessions");
        until(|| self.healthcheck(id)).await?;
        self.mark("db ready");
        Ok(())
    }

    async fn healthcheck(&self, id: &str) -> Fallible<bool> {
        let check = "pg_isready -h 127.0.0.1 -U postgres -d testdb";
        let config = ExecConfig {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(check.split(' ').map(str::to_owned).collect()),
            ..ExecConfig::default()
        };
        let exec = self.docker.create_exec(id, config).await?;
        if let StartExecResults::Attached { mut output, .. } =
            self.docker.start_exec(&exec.id, None).await?
        {
            while output.next().await.is_some() {}
        }
        Ok(self.docker.inspect_exec(&exec.id).await?.exit_code == Some(0))
    }

    async fn api_ready(&self, id: &str) -> Fallible<()> {
        let address = SocketAddr::new(self.address(id).await?.into(), 3000);
        until(|| answers_health(address)).await?;
        self.mark("api ready");
        Ok(())
    }

    /// Waits for a container to end, and for its output. Any exit code but 0 is an error.
    async fn exit(&self, service: &str, id: &str, draining: JoinHandle<()>) -> Fallible<()> {
        let options = WaitContainerOptionsBuilder::default()
            .condition("not-running")
            .build();
        let mut answers = Box::pin(self.docker.wait_container(id, Some(options)));
        let answer = answers.next().await.ok_or("the engine stopped waiting")?;
        // A code other than 0 arrives as an error.
        answer.map_err(|error| format!("{service}: {error}"))?;
        draining.await?;
        self.mark(&format!("{service} ended"));
        Ok(())
    }

    async fn suite(self: Arc<Self>, suite: &'static str, id: String) -> Fallible<()> {
        let draining = self.start(suite, &id).await?;
        self.exit(suite, &id, draining).await?;
        self.collect(suite, &id).await?;
        self.mark(&format!("{suite} judged"));
        Ok(())
    }

    /// Copies the suite's report out. One without a test in it is no pass.
    async fn collect(&self, suite: &str, id: &str) -> Fallible<()> {
        let options = DownloadFromContainerOptionsBuilder::default()
            .path("/app/reports")
            .build();
        let mut download = Box::pin(self.docker.download_from_container(id, Some(options)));
        let mut archive = Vec::new();
        while let Some(chunk) = download.next().await {
            archive.extend_from_slice(&chunk?);
        }
        let wanted = format!("{suite}.xml");
        for entry in tar::Archive::new(archive.as_slice()).entries()? {
            let mut entry = entry?;
            if entry.path()?.ends_with(&wanted) {
                let mut report = String::new();
                entry.read_to_string(&mut report)?;
                if report.contains("<testcase") && report.contains("failures=\"0\"") {
                    std::fs::write(self.out.join(&wanted), report)?;
                    return Ok(());
                }
            }
        }
        Err(format!("{suite} has no report, or one that is no pass").into())
    }

    /// Removes all containers at once, then all else at once, and verifies by listing, until
    /// nothing is left.
    async fn tear_down(&self) -> Fallible<()> {
        let _all_calls_are_over = self.creating.write().await;
        let mut left = Left {
            containers: SERVICES.map(|service| self.name(service)).to_vec(),
            networks: vec![self.name("pipeline")],
            volumes: vec![self.name("data")],
        };
        let end = Instant::now() + DEADLINE;
        while Instant::now() < end {
            let options = RemoveContainerOptionsBuilder::default().force(true).build();
            let removals = left.containers.iter().map(|container| {
                self.docker
                    .remove_container(container, Some(options.clone()))
            });
            // What fails, or was never made, is seen by the listing.
            drop(futures::future::join_all(removals).await);
            self.mark("containers removed");
            let networks = left
                .networks
                .iter()
                .map(|network| self.docker.remove_network(network));
            let options = RemoveVolumeOptionsBuilder::default().force(true).build();
            let volumes = left
                .volumes
                .iter()
                .map(|volume| self.docker.remove_volume(volume, Some(options.clone())));
            let image = format!("envrun-bench/run-{}", self.run.simple());
            let options = RemoveImageOptionsBuilder::default().force(true).build();
            drop(futures::join!(
                futures::future::join_all(networks),
                futures::future::join_all(volumes),
                self.docker.remove_image(&image, Some(options), None)
            ));
            self.mark("network and volume removed");
            left = self.left().await?;
            if left.containers.is_empty() && left.networks.is_empty() && left.volumes.is_empty() {
                return Ok(());
            }
        }
        Err(format!("left behind: {left:?}").into())
    }

    async fn left(&self) -> Fallible<Left> {
        let filter = HashMap::from([("label", vec![format!("{RUN_LABEL}={}", self.run)])]);
        let containers = ListContainersOptionsBuilder::default()
            .all(true)
            .filters(&filter)
            .build();
        let networks = ListNetworksOptionsBuilder::default()
            .filters(&filter)
            .build();
        let volumes = ListVolumesOptionsBuilder::default()
            .filters(&filter)
            .build();
        let (containers, networks, volumes) = futures::join!(
            self.docker.list_containers(Some(containers)),
            self.docker.list_networks(Some(networks)),
            self.docker.list_volumes(Some(volumes))
        );
        let volumes = volumes?.volumes.unwrap_or_default();
        Ok(Left {
            containers: containers?.into_iter().filter_map(|one| one.id).collect(),
            networks: networks?.into_iter().filter_map(|one| one.id).collect(),
            volumes: volumes.into_iter().map(|one| one.name).collect(),
        })
    }
}

/// What there is, or may be, of a run on the engine.
#[derive(Debug)]
struct Left {
    containers: Vec<String>,
    networks: Vec<String>,
    volumes: Vec<String>,
}

/// Command and environment of a service, as `compose.yaml` has them. The healthcheck is not among
/// them: it is performed here, and the engine's own copy of it would only take time from the
/// database.
fn definition(service: &str) -> (Vec<String>, Vec<String>) {
    let suite = |name: &str| {
        format!(
            "python3 -m pytest tests/{name} --junitxml=reports/{name}.xml -o junit_suite_name={name}"
        )
    };
    let application = "APP_ENV=test DATABASE_URL=postgres://postgres:testpass@db:5432/testdb";
    let (command, environment) = match service {
        "db" => (
            String::new(),
            "POSTGRES_PASSWORD=testpass POSTGRES_DB=testdb",
        ),
        "migrate" => ("python3 -u -m taskflow.migrate".to_owned(), application),
        "api" => ("python3 -u -m taskflow.server".to_owned(), application),
        "unit" => (suite("unit"), "APP_ENV=test"),
        "e2e" => (suite("e2e"), "APP_ENV=test BASE_URL=http://api:3000"),
        other => (suite(other), application),
    };
    // No argument and no value has a space in it.
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
    (words(&command), words(environment))
}

/// Asks again and again until the answer is yes.
async fn until<F: Future<Output = Fallible<bool>>>(ask: impl Fn() -> F) -> Fallible<()> {
    let end = Instant::now() + DEADLINE;
    while Instant::now() < end {
        if let Ok(Ok(true)) = tokio::time::timeout(ATTEMPT, ask()).await {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(format!("not ready after {DEADLINE:?}").into())
}

/// Begins a session as a client would: anything but "cannot connect now" means that the server is
/// there.
async fn accepts_sessions(address: SocketAddr) -> Fallible<bool> {
    let mut stream = TcpStream::connect(address).await?;
    let mut message = 196_608_u32.to_be_bytes().to_vec();
    message.extend_from_slice(b"user\0postgres\0database\0testdb\0\0");
    let length = u32::try_from(message.len() + 4)?;
    stream.write_all(&length.to_be_bytes()).await?;
    stream.write_all(&message).await?;
    let mut answer = [0_u8; 512];
    let count = stream.read(&mut answer).await?;
    let answer = &answer[..count];
    Ok(answer.starts_with(b"R")
        || (answer.starts_with(b"E") && !answer.windows(6).any(|code| code == b"C57P03")))
}

async fn answers_health(address: SocketAddr) -> Fallible<bool> {
    let mut stream = TcpStream::connect(address).await?;
    stream
        .write_all(b"GET /health HTTP/1.1\r\nHost: api:3000\r\nConnection: close\r\n\r\n")
        .await?;
    let mut answer = [0_u8; 12];
    stream.read_exact(&mut answer).await?;
    Ok(&answer == b"HTTP/1.1 200")
}
