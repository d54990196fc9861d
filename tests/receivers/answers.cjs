/** Answer every HTTP request of this process, and record it. */
"use strict";

const BODY = {
  id: "1",
  success: true,
  status: "success",
  code: 200,
  access_token: "token",
  token: "token",
  data: [{ id: "1", attributes: {} }],
  results: [{ id: "1" }],
  errors: [],
};
let recorded = [];

/** ``load`` finds the package nock. Requests that it can't see fail, because there is no network without it. */
function answerAllRequests(load) {
  const nock = load("nock");
  nock.disableNetConnect();
  for (const method of ["get", "post", "put", "patch", "delete", "head"]) {
    nock(/.*/)
      .persist()
      [method](/.*/)
      .reply(function (uri, body) {
        recorded.push({ method: method.toUpperCase(), host: this.req.headers.host, path: uri, body });
        return [200, BODY];
      });
  }
}

/** Return the requests that a function makes. */
async function requestsOf(run) {
  recorded = [];
  await Promise.race([run(), new Promise((resolve) => setTimeout(resolve, 5000))]);
  return recorded;
}

module.exports = { answerAllRequests, requestsOf };
