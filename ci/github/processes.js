'use strict';
// Processes: started so that signals reach them, and recognised again by another process later.

const { execFileSync, spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');

const signals = require('./signals');

// Variables that the runner gives to actions in JavaScript, but not to steps with `run:`. Nothing of what is started here needs
// them, and tests of a project might print what they find.
const privileged = /^(INPUT_|STATE_|ACTIONS_RUNTIME_|ACTIONS_CACHE_|ACTIONS_RESULTS_)/;

function environment(extra = {}) {
  const kept = Object.entries(process.env).filter(([name]) => !privileged.test(name));
  return { ...Object.fromEntries(kept), ...extra };
}

// Starts a program with our own output, and answers with its exit code, that of a shell where a signal has ended it. With `group`,
// signals go to all that the program has started itself; else to the program alone. `started` is told the process id.
function run(program, programArguments, { group = false, started = () => {}, cwd, extra } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, programArguments, {
      cwd,
      detached: group,
      env: environment(extra),
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    child.on('error', (error) => {
      signals.passTo(null);
      reject(error);
    });
    child.on('exit', (code, signal) => {
      signals.passTo(null);
      resolve(code === null ? 128 + os.constants.signals[signal] : code);
    });
    if (child.pid === undefined) {
      return;
    }
    started(child.pid);
    signals.passTo((signal) => {
      try {
        process.kill(group ? -child.pid : child.pid, signal);
      } catch {
        // It has ended, and `exit` is on its way.
      }
    });
  });
}

// When a process began, in whatever unit the system has: together with the process id it says which process is meant. Null where
// there is none, or where it has ended and nobody has asked for its exit code yet.
function beginning(pid) {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name of the program stands in brackets and may hold anything.
    const fields = stat.slice(stat.lastIndexOf(') ') + 2).split(' ');
    return fields[0] === 'Z' ? null : fields[19];
  } catch {
    if (process.platform === 'linux') {
      return null;
    }
  }
  try {
    const options = { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] };
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], options).trim() || null;
  } catch {
    return null;
  }
}

module.exports = { beginning, environment, run };
