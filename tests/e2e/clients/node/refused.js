'use strict';
// What both clients' scripts hold answers to.

const assert = require('node:assert/strict');

/** The call fails with this status and, where the client tells it, this error code. */
async function refused(call, status, code) {
  let answer;
  try {
    answer = await call;
  } catch (error) {
    assert.equal(error.status ?? error.response?.status, status, error);
    if (error.errorCode !== undefined) assert.equal(error.errorCode, code, error);
    return;
  }
  assert.fail(`not refused with ${code}: ${JSON.stringify(answer)}`);
}

module.exports = { refused };
