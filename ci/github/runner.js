'use strict';
// How a step talks to the runner: inputs come as variables, and what a step has to say goes to files that variables name, or is
// a line of its output with a command in it. This is all of the protocol that the action needs, so that it needs no packages.

const crypto = require('node:crypto');
const fs = require('node:fs');

// The text of an input, without blanks around it. The runner keeps hyphens in the name of the variable.
function input(name) {
  return (process.env[`INPUT_${name.replace(/ /g, '_').toUpperCase()}`] || '').trim();
}

// The lines of an input that say something. Only the end of a line is cut: an argument may begin with a blank.
function lines(name) {
  const text = process.env[`INPUT_${name.toUpperCase()}`] || '';
  return text.split('\n').map((line) => line.trimEnd()).filter((line) => line !== '');
}

// Appends one value to a file of the runner. The delimiter is random, so no value can end itself and begin another.
function append(variable, name, value) {
  const file = process.env[variable];
  if (!file) {
    return;
  }
  const delimiter = `envrun-${crypto.randomUUID()}`;
  fs.appendFileSync(file, `${name}<<${delimiter}\n${value}\n${delimiter}\n`);
}

// An output of the step.
function output(name, value) {
  append('GITHUB_OUTPUT', name, value);
}

// Something that `post.js` finds in `saved(name)`, also when this process is killed right after it.
function save(name, value) {
  append('GITHUB_STATE', name, value);
}

// What `save` has kept; empty where it was not reached.
function saved(name) {
  return process.env[`STATE_${name}`] || '';
}

// A text must not end its command and begin another one.
function escaped(text) {
  return String(text).replace(/%/g, '%25').replace(/\r/g, '%0D').replace(/\n/g, '%0A');
}

// The three kinds of messages. They go to standard output, since the runner reads commands there.
function error(message) {
  process.stdout.write(`::error title=envrun::${escaped(message)}\n`);
}

function warning(message) {
  process.stdout.write(`::warning title=envrun::${escaped(message)}\n`);
}

function say(message) {
  // A line that begins with a colon pair would be a command, and paths are chosen by others.
  process.stdout.write(`envrun action: ${String(message).replace(/[\r\n]+/g, ' ')}\n`);
}

module.exports = { error, input, lines, output, save, saved, say, warning };
