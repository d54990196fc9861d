// Send the same facts by each Node client: node node_clients.cjs MODULES CLIENT URL KEY
"use strict";
const path = require("path");
const [modules, client, url, key] = process.argv.slice(2);
const load = (name) => require(require.resolve(name, { paths: [path.resolve(modules)] }));
const traits = { vip: true, plan: "pro", revenue: 120.5 };

function fail(error) {
  console.error(error);
  process.exit(1);
}

const clients = {
  async segment() {
    const { Analytics } = load("@segment/analytics-node");
    const analytics = new Analytics({ writeKey: key, host: url, maxRetries: 0 });
    analytics.on("error", fail);
    sendAll(analytics);
    await analytics.closeAndFlush({ timeout: 10000 });
  },
  async rudderstack() {
    const Client = load("@rudderstack/rudder-sdk-node");
    const analytics = new (Client.default || Client)(key, { dataPlaneUrl: url, flushAt: 20 });
    sendAll(analytics);
    await new Promise((resolve, reject) => {
      const ended = analytics.flush((error) => (error ? reject(error) : resolve()));
      if (ended && ended.then) ended.then(resolve, reject);
    });
  },
  // It has no setting for the address: its requests are redirected on the way out.
  async outbound() {
    const https = require("https"), http = require("http");
    const to = new URL(url);
    https.request = (options, done) => http.request({ ...plain(options), host: to.hostname, hostname: to.hostname, port: to.port }, done);
    const outbound = load("outbound");
    const made = typeof outbound === "function" ? new outbound(key) : outbound;
    if (made.init) made.init(key);
    await made.identify("C-1", { first_name: "Ana", email: "ana@example.com", attributes: traits });
    await made.track("C-1", "Paid", { total: 12.5 });
  },
};

function plain(options) {
  const { agent, agents, protocol, href, ...rest } = options;
  return rest;
}

function sendAll(analytics) {
  const userId = "C-1";
  analytics.identify({ userId, traits });
  analytics.track({ userId, event: "Paid", properties: { total: 12.5 } });
  analytics.page({ userId, name: "Home" });
  analytics.screen({ userId, name: "Start" });
  analytics.group({ userId, groupId: "G-1", traits: { name: "Shop" } });
  analytics.alias({ userId, previousId: "anon-1" });
}

clients[client]().then(() => setTimeout(() => process.exit(0), 200), fail);
