//! Carries out the probes of one service: asks the machine, does as it says, reports the end.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt as _};

use super::effect::{Input, ProbeTask};
use super::shared::Shared;
use crate::clock;
use crate::engine::{ExecSpec, NetworkAddress};
use crate::probe::machine::{Machine, Next};
use crate::probe::{HealthcheckProbe, NetworkProbe, Probe, Prober, listening};

/// Characters shown of what a failed healthcheck printed.
const OUTPUT_SHOWN: usize = 200;

/// Probes until everything has passed, or one probe has given up.
pub(super) async fn until_ready(shared: Arc<Shared>, prober: Arc<dyn Prober>, task: ProbeTask) {
    // The network is dialled only where its gateway is an address of ours; elsewhere its addresses
    // mean nothing, or worse, something else.
    let dial: Option<NetworkAddress> = task.address.filter(|address| {
        address
            .gateway
            .is_some_and(|gateway| prober.reaches(gateway))
    });
    // A look over the network costs the server next to nothing and a healthcheck is a process in
    // its container, so healthchecks wait until the network says yes. All of them have to pass
    // either way.
    let (network, commands): (Vec<&Probe>, Vec<&Probe>) = task
        .requirement
        .probes
        .iter()
        .partition(|probe| matches!(probe, Probe::Network(_)));
    let mut passed = Vec::new();
    let mut attempts = 0;
    for probes in [network, commands] {
        let mut probing: FuturesUnordered<_> = probes
            .into_iter()
            .map(|probe| {
                let by_exec = dial.is_none() && matches!(probe, Probe::Network(_));
                let machine = Machine::new(probe.clone(), task.requirement.deadline, by_exec);
                one(&shared, prober.as_ref(), &task, dial, machine)
            })
            .collect();
        while let Some((has_passed, machine)) = probing.next().await {
            if !has_passed {
                let summary = machine.summary();
                let log_tail = shared.tails.tail(&task.service);
                return shared.send(Input::NotReady {
                    service: task.service.clone(),
                    start: task.start,
                    summary,
                    log_tail,
                });
            }
            attempts += machine.attempts();
            passed.push(machine.words());
        }
    }
    passed.sort();
    shared.send(Input::Ready {
        service: task.service.clone(),
        start: task.start,
        by: passed.join(" and "),
        attempts,
    });
}

/// Drives one machine to its end.
async fn one(
    shared: &Shared,
    prober: &dyn Prober,
    task: &ProbeTask,
    dial: Option<NetworkAddress>,
    mut machine: Machine,
) -> (bool, Machine) {
    let elapsed = || shared.begun.elapsed().saturating_sub(task.started);
    loop {
        match machine.next(elapsed()) {
            Next::Passed => return (true, machine),
            Next::GaveUp => return (false, machine),
            Next::Wait(pause) => clock::pause(pause).await,
            Next::Attempt(limit) => {
                let before = elapsed();
                let answer = match (machine.probe(), dial) {
                    (Probe::Network(probe), Some(address)) => {
                        prober
                            .attempt(probe, task.host.as_str(), address.address, limit)
                            .await
                    }
                    (Probe::Network(probe), None) => look_inside(shared, task, probe, limit).await,
                    (Probe::Healthcheck(check), _) => healthcheck(shared, task, check, limit).await,
                };
                let now = elapsed();
                machine.record(now, now.saturating_sub(before), answer);
            }
        }
    }
}

async fn healthcheck(
    shared: &Shared,
    task: &ProbeTask,
    check: &HealthcheckProbe,
    limit: Duration,
) -> Result<(), String> {
    let command = ExecSpec::plain(&check.command);
    let outcome = clock::within(limit, shared.engine.exec(&task.container, &command))
        .await
        .map_err(|reached| reached.to_string())?
        .map_err(|error| error.to_string())?;
    if outcome.code == 0 {
        return Ok(());
    }
    let output: String = outcome
        .output_tail
        .trim()
        .chars()
        .take(OUTPUT_SHOWN)
        .collect();
    let output = output.split_whitespace().collect::<Vec<_>>().join(" ");
    Err(if output.is_empty() {
        format!("exit code {}", outcome.code)
    } else {
        format!("exit code {}: {output}", outcome.code)
    })
}

async fn look_inside(
    shared: &Shared,
    task: &ProbeTask,
    probe: &NetworkProbe,
    limit: Duration,
) -> Result<(), String> {
    let command = ExecSpec::plain(&listening::COMMAND.map(str::to_owned));
    let outcome = clock::within(limit, shared.engine.exec(&task.container, &command))
        .await
        .map_err(|reached| reached.to_string())?
        .map_err(|error| error.to_string())?;
    listening::judge(probe, &outcome.output_tail, task.alone)
}
