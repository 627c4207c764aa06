'use strict';
// What ends the action before there is an exit code of envrun. The codes are those of envrun itself: see its README.

const USAGE = 2;

// Something that the user has to know, with the exit code that it means.
class Failure extends Error {
  constructor(message, code = USAGE) {
    super(message);
    this.code = code;
  }
}

module.exports = { Failure, USAGE };
