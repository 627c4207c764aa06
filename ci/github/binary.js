'use strict';
// Where envrun comes from: the input `binary`, else one of the wanted version that is there, else the release of that version, else
// the sources of the action.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { Failure } = require('./failure');
const processes = require('./processes');
const release = require('./release');
const runner = require('./runner');
const signals = require('./signals');

const sources = path.resolve(__dirname, '..', '..');
const versionOf = /^v?([0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z.-]+)?)$/;

// Version of the sources that came with the action.
function versionOfSources() {
  const manifest = fs.readFileSync(path.join(sources, 'Cargo.toml'), 'utf8');
  return /^version *= *"([^"]+)"/m.exec(manifest)[1];
}

// Which version is wanted, and whether there can be a release of it. A branch or a commit is none: what has the same number as a
// release may be younger.
function wanted() {
  const given = runner.input('version');
  if (given !== '') {
    const matched = versionOf.exec(given);
    if (!matched) {
      throw new Failure(`the input \`version\` is \`${given}\`, which is no version such as \`0.1.0\``);
    }
    return { version: matched[1], isReleased: true };
  }
  const tag = versionOf.exec(process.env.GITHUB_ACTION_REF || '');
  return tag ? { version: tag[1], isReleased: true } : { version: versionOfSources(), isReleased: false };
}

// What a program says to `--version`; null where it does not run.
function versionSaid(program) {
  const asked = spawnSync(program, ['--version'], { encoding: 'utf8', env: processes.environment(), timeout: 20_000 });
  const said = asked.status === 0 && /^envrun ([^\s]+)/.exec(asked.stdout);
  return said ? said[1] : null;
}

// The first executable file of this name on the PATH.
function onPath(name) {
  const directories = (process.env.PATH || '').split(path.delimiter).filter((directory) => path.isAbsolute(directory));
  return directories.map((directory) => path.join(directory, name)).find(isProgram);
}

function isProgram(file) {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}

function given(file, workspace) {
  const program = path.resolve(workspace, file);
  if (!isProgram(program)) {
    throw new Failure(`the input \`binary\` is \`${file}\`, which is no program (looked for at \`${program}\`)`);
  }
  if (versionSaid(program) === null) {
    throw new Failure(`\`${program}\` does not answer to \`--version\` as envrun does`);
  }
  return program;
}

async function build(version) {
  const cargo = onPath('cargo') || path.join(process.env.CARGO_HOME || path.join(process.env.HOME || '/', '.cargo'), 'bin', 'cargo');
  if (!isProgram(cargo)) {
    throw new Failure(
      `envrun ${version} is neither on the PATH nor in a release that can be downloaded, and there is no cargo to build it with; ` +
        'install a Rust toolchain in a step before this one, or name a program by the input `binary`',
    );
  }
  const target = process.env.CARGO_TARGET_DIR || path.join(process.env.RUNNER_TEMP || sources, 'envrun-target');
  runner.say(`building envrun ${version} from ${sources}`);
  // Compilers that cargo has started are told of a cancelled job as well.
  const code = await processes.run(
    cargo,
    ['build', '--release', '--locked', '--manifest-path', path.join(sources, 'Cargo.toml'), '--target-dir', target],
    { group: true, cwd: sources },
  );
  if (signals.exitCode() !== null) {
    return null;
  }
  if (code !== 0) {
    throw new Failure(`building envrun failed with exit code ${code}, see above`);
  }
  return path.join(target, 'release', 'envrun');
}

// The path of the program; null where the job was cancelled meanwhile.
async function find(workspace) {
  const binary = runner.input('binary');
  if (binary !== '') {
    return given(binary, workspace);
  }
  const { version, isReleased } = wanted();
  const there = onPath('envrun');
  if (there && versionSaid(there) === version) {
    runner.say(`using ${there}, which is version ${version}`);
    return there;
  }
  if (isReleased) {
    const released = await release.obtain(version);
    if (released || signals.exitCode() !== null) {
      return released;
    }
    if (version !== versionOfSources()) {
      throw new Failure(
        `there is no release of envrun ${version} for this system, and the action's own sources are version ${versionOfSources()}; ` +
          'leave the input `version` out to build these',
      );
    }
  }
  return build(version);
}

module.exports = { find };
