'use strict';
// The step: finds envrun, runs it so that it gets every signal, and ends with its exit code.

const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');

const binary = require('./binary');
const { Failure } = require('./failure');
const processes = require('./processes');
const runner = require('./runner');
const signals = require('./signals');

// What came out, in the words in which envrun itself says it where it comes to say it.
function result(code) {
  const words = { 0: 'passed', 1: 'failed', 5: 'passed', 6: 'passed', 129: 'cancelled', 130: 'cancelled', 143: 'cancelled' };
  return words[code] || 'error';
}

// A path that begins with a hyphen would be taken for an option.
function asPath(text) {
  return text.startsWith('-') ? `./${text}` : text;
}

function runArguments(out) {
  const each = (option, name) => runner.lines(name).map((value) => `${option}=${value}`);
  return [
    'run',
    asPath(runner.input('directory') || '.'),
    ...each('--file', 'files'),
    ...each('--env-file', 'env-file'),
    ...each('--only', 'only'),
    ...each('--skip', 'skip'),
    `--out=${out}`,
    ...runner.lines('arguments'),
  ];
}

// The id of the run that has written there last; null where there is none, or not yet a whole line.
function runWritten(directory) {
  let text;
  try {
    const file = fs.openSync(path.join(directory, 'events.jsonl'), 'r');
    const start = Buffer.alloc(4096);
    text = start.toString('utf8', 0, fs.readSync(file, start, 0, start.length, 0));
    fs.closeSync(file);
  } catch {
    return null;
  }
  const [first, ...rest] = text.split('\n');
  if (rest.length === 0) {
    return null;
  }
  try {
    const event = JSON.parse(first);
    return event.event === 'run_started' && typeof event.run === 'string' ? event.run : null;
  } catch {
    return null;
  }
}

async function step(out) {
  const workspace = process.env.GITHUB_WORKSPACE || process.cwd();
  if (process.platform === 'win32') {
    throw new Failure('envrun runs on Linux and macOS');
  }
  const program = await binary.find(workspace);
  if (program === null || signals.exitCode() !== null) {
    return signals.exitCode();
  }
  const directory = path.resolve(workspace, out);
  const before = runWritten(directory);
  // Everything of the run carries this as a label. A job's own id will not do: cells of a matrix share it.
  const build = `github-step-${crypto.randomUUID()}`;
  runner.save('binary', program);
  runner.save('build', build);
  const started = (pid) => {
    runner.save('pid', pid);
    runner.save('beginning', processes.beginning(pid) || '');
  };
  const extra = { ENVRUN_BUILD: build };
  const code = await processes.run(program, runArguments(out), { cwd: workspace, extra, started });
  const run = runWritten(directory);
  runner.output('run-id', run === null || run === before ? '' : run);
  // Only now: `post.js` takes a run without it for one that nobody has seen to its end.
  runner.save('exit', code);
  return code;
}

signals.listen();
const out = runner.input('out') || 'envrun-out';
step(out)
  .catch((error) => {
    runner.error(error instanceof Failure ? error.message : error.stack);
    return error instanceof Failure ? error.code : 70;
  })
  .then((code) => {
    // Last, so that this counts where envrun has said something as well.
    runner.output('out', out);
    runner.output('junit', path.posix.join(out, 'junit.xml'));
    runner.output('exit-code', code);
    runner.output('result', result(code));
    process.exitCode = code;
  });
