'use strict';
// A cancelled job sends SIGINT to this process alone, after 7.5 s SIGTERM, and after another 2.5 s SIGKILL. Whatever this process
// has started gets nothing of it, so the signals are passed on to it; and this process waits for its end, since the runner goes on
// with the job as soon as this one is gone.

const os = require('node:os');

const passedOn = ['SIGINT', 'SIGTERM', 'SIGHUP'];

let first = null;
let target = null;
const abort = new AbortController();

// To be called before anything takes time.
function listen() {
  for (const signal of passedOn) {
    process.on(signal, () => {
      first = first || signal;
      abort.abort();
      if (target) {
        target(signal);
      }
    });
  }
}

// Passes what comes from now on to `send(signal)`, and what has come already.
function passTo(send) {
  target = send;
  if (first && send) {
    send(first);
  }
}

// The exit code of a step that was cancelled before envrun could end it; null where no signal has come.
function exitCode() {
  return first ? 128 + os.constants.signals[first] : null;
}

module.exports = { aborted: abort.signal, exitCode, listen, passTo };
