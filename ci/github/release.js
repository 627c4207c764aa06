'use strict';
// Programs of releases: downloaded once a machine, kept in the runner's tool cache, and believed only with the right checksum.
// The checksum comes from the same release, so it tells a broken download from a good one, and not who has made the release.

const { spawnSync } = require('node:child_process');
const crypto = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const { Failure } = require('./failure');
const processes = require('./processes');
const runner = require('./runner');
const signals = require('./signals');

// What releases are made for: see `ci/release`.
const targets = {
  'linux x64': 'x86_64-unknown-linux-musl',
  'linux arm64': 'aarch64-unknown-linux-musl',
  'darwin x64': 'x86_64-apple-darwin',
  'darwin arm64': 'aarch64-apple-darwin',
};

// For the whole of an archive, which has a few megabytes.
const downloadMilliseconds = 120_000;

// The content of a file of a release; null where there is no such file, or where the job was cancelled meanwhile.
async function download(address) {
  const abort = new AbortController();
  const cancel = () => abort.abort();
  const tooLong = setTimeout(() => abort.abort(new Error(`no end within ${downloadMilliseconds / 1000} s`)), downloadMilliseconds);
  signals.aborted.addEventListener('abort', cancel);
  try {
    const answer = await fetch(address, { signal: abort.signal });
    if (answer.status === 404) {
      return null;
    }
    if (!answer.ok) {
      throw new Error(`the server answers with ${answer.status}`);
    }
    return Buffer.from(await answer.arrayBuffer());
  } catch (error) {
    if (signals.exitCode() !== null) {
      return null;
    }
    const reason = error.cause ? `${error.message}: ${error.cause.message}` : error.message;
    throw new Failure(`cannot download ${address}: ${reason}`);
  } finally {
    clearTimeout(tooLong);
    signals.aborted.removeEventListener('abort', cancel);
  }
}

// The checksum that a list in the form of `sha256sum` has for a file.
function checksumOf(list, name) {
  const line = list
    .toString('utf8')
    .split('\n')
    .map((text) => /^([0-9a-f]{64}) [ *](.+)$/.exec(text.trimEnd()))
    .find((matched) => matched && matched[2] === name);
  return line ? line[1] : null;
}

// Unpacks the program into a directory of its own and gives that its name only when it is whole: two jobs of one machine may do
// this at the same time.
function keep(archive, folder, directory) {
  fs.mkdirSync(path.dirname(directory), { recursive: true });
  const scratch = fs.mkdtempSync(`${directory}.`);
  const file = path.join(scratch, 'archive.tar.gz');
  fs.writeFileSync(file, archive);
  const unpacked = spawnSync('tar', ['-xzf', file, '-C', scratch, '--strip-components=1', `${folder}/envrun`], {
    encoding: 'utf8',
    env: processes.environment(),
  });
  fs.rmSync(file);
  if (unpacked.error || unpacked.status !== 0) {
    fs.rmSync(scratch, { recursive: true, force: true });
    throw new Failure(`the archive of the release cannot be unpacked: ${unpacked.error || unpacked.stderr.trim()}`);
  }
  fs.chmodSync(scratch, 0o755);
  try {
    fs.renameSync(scratch, directory);
  } catch (error) {
    fs.rmSync(scratch, { recursive: true, force: true });
    if (!fs.existsSync(directory)) {
      throw error;
    }
  }
}

// The path of the program of a release; null where there is no such release, or where the job was cancelled meanwhile.
async function obtain(version) {
  const target = targets[`${process.platform} ${process.arch}`];
  const repository = process.env.GITHUB_ACTION_REPOSITORY;
  if (!target || !repository) {
    return null;
  }
  const cache = process.env.RUNNER_TOOL_CACHE || path.join(process.env.RUNNER_TEMP || os.tmpdir(), 'tools');
  const directory = path.join(cache, 'envrun', version, target);
  const program = path.join(directory, 'envrun');
  if (fs.existsSync(program)) {
    return program;
  }
  const server = process.env.GITHUB_SERVER_URL || 'https://github.com';
  const folder = `envrun-${version}-${target}`;
  const name = `${folder}.tar.gz`;
  const address = `${server}/${repository}/releases/download/v${version}`;
  const list = await download(`${address}/SHA256SUMS`);
  const wanted = list && checksumOf(list, name);
  if (!wanted || signals.exitCode() !== null) {
    return null;
  }
  runner.say(`downloading ${address}/${name}`);
  const archive = await download(`${address}/${name}`);
  if (signals.exitCode() !== null) {
    return null;
  }
  const found = archive && crypto.createHash('sha256').update(archive).digest('hex');
  if (found !== wanted) {
    throw new Failure(`${address}/${name} has the checksum ${found}, and SHA256SUMS of the release says ${wanted}`);
  }
  keep(archive, folder, directory);
  return program;
}

module.exports = { obtain };
