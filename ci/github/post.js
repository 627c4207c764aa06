'use strict';
// After the job: where the step was killed before envrun had ended, ends envrun, and removes what the run has left. In a container
// job this is the usual end of a cancelled one, since the runner cannot send signals into the container. Never fails the job: the
// verdict is out.

const { spawnSync } = require('node:child_process');

const processes = require('./processes');
const runner = require('./runner');

// A run that is told to end removes everything within seconds. The runner gives a cancelled job five minutes for its last steps.
const endMilliseconds = 60_000;
const killMilliseconds = 5_000;
const gcMilliseconds = 120_000;
const lookMilliseconds = 100;

// envrun could not say that nothing is left: by its exit code, or since a signal that it does not handle has ended it.
const leftSomething = 5;
const handledSignals = [129, 130, 143];

function isClean(exit) {
  const code = Number(exit);
  return exit !== '' && code !== leftSomething && (code < 128 || handledSignals.includes(code));
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// Whether the process that was noted is still there.
function isAlive(pid, beginning) {
  return beginning !== '' && processes.beginning(pid) === beginning;
}

async function end(pid, beginning, signal, milliseconds) {
  try {
    process.kill(pid, signal);
  } catch {
    // It has just ended.
  }
  const deadline = Date.now() + milliseconds;
  while (isAlive(pid, beginning) && Date.now() < deadline) {
    await pause(lookMilliseconds);
  }
}

async function post() {
  const pid = Number(runner.saved('pid'));
  if (!pid || isClean(runner.saved('exit'))) {
    return;
  }
  const beginning = runner.saved('beginning');
  if (isAlive(pid, beginning)) {
    runner.say('the step was ended before envrun, which is told to end now');
    await end(pid, beginning, 'SIGTERM', endMilliseconds);
  }
  if (isAlive(pid, beginning)) {
    await end(pid, beginning, 'SIGKILL', killMilliseconds);
  }
  // `--force`: a run in a container that is gone cannot be seen to be dead, and nobody else has the name of this build.
  const collect = ['gc', `--build=${runner.saved('build')}`, '--force'];
  const removed = spawnSync(runner.saved('binary'), collect, {
    env: processes.environment(),
    stdio: ['ignore', 'inherit', 'inherit'],
    timeout: gcMilliseconds,
  });
  if (removed.error || removed.status !== 0) {
    const reason = removed.error ? removed.error.message : `exit code ${removed.status}, see above`;
    runner.warning(`the step may have left something on the engine: ${reason}; \`envrun ${collect.join(' ')}\` removes it`);
  }
}

post().catch((error) => runner.warning(`the clean-up after the step failed: ${error.message}`));
