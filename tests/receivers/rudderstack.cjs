/**
 * Feed recorded calls to each destination of RudderStack's transformer, and print which receivers accept them.
 *
 *     node tests/receivers/rudderstack.cjs CALLS FOLDER CHECKOUT [--all]
 *
 * FOLDER has node_modules (package.json), CHECKOUT is rudderlabs/rudder-transformer with its own.
 *
 * The configurations are those of the transformer's own tests. A receiver accepts a message if the transformer makes a
 * request of it. Requests that it makes itself are answered here, and none leaves this machine.
 */
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { createRequire } = require("node:module");
const { answerAllRequests } = require("./answers.cjs");
const { report } = require("./report.cjs");

const [callsFile, folder, checkout] = process.argv.slice(2).map((each) => path.resolve(each));
process.chdir(checkout);
process.env.LOG_LEVEL = "silent";
const loadTool = createRequire(path.join(folder, "package.json"));
answerAllRequests(loadTool);
loadTool("tsx/cjs"); // the transformer is TypeScript
const load = createRequire(path.join(checkout, "package.json"));
// It runs people's own templates, has to be compiled, and is used by none of these destinations.
require.cache[load.resolve("isolated-vm")] = { exports: {}, loaded: true };
const { processCdkV2Workflow } = load("./src/cdk/v2/handler.ts");
const FIXTURES = path.join(checkout, "test/integrations/destinations");

/** The different configurations in the transformer's tests of a destination. */
function configsOf(name) {
  const found = new Map();
  for (const feature of ["processor", "router"]) {
    let data = [];
    for (const file of ["data.ts", "data.js", "index.ts"]) {
      const place = path.join(FIXTURES, name, feature, file);
      if (!fs.existsSync(place)) continue;
      try {
        data = load(place).data ?? [];
      } catch {
        continue; // a fixture that needs the transformer's test runner
      }
      if (data.length) break;
    }
    for (const each of data) {
      const body = each.input?.request?.body;
      for (const input of [body, body?.input].find(Array.isArray) ?? []) {
        if (input.destination) found.set(JSON.stringify(input.destination.Config), input.destination);
      }
    }
  }
  return [...found.values()].slice(0, 40);
}

function inputOf(message, destination) {
  const times = { originalTimestamp: message.timestamp, receivedAt: message.timestamp, sentAt: message.timestamp };
  return {
    message: { channel: "sources", ...structuredClone(message), ...times },
    destination: structuredClone({ ID: "1", Name: "d", DestinationDefinition: { Config: {} }, ...destination }),
    metadata: { destinationId: "1", workspaceId: "1", sourceId: "1", jobId: 1, userId: message.userId },
  };
}

/** Return why a destination accepts no message, or an empty text. */
async function refusal(name, implementation, input) {
  try {
    if (implementation === "cdk") {
      const made = await processCdkV2Workflow(name, input, "processor", {});
      return made && (!Array.isArray(made) || made.length) ? "" : "no request";
    }
    const handler = load(`./src/v0/destinations/${name}/transform`);
    if (handler.process) {
      const made = await handler.process(input, {});
      return made && (!Array.isArray(made) || made.length) ? "" : "no request";
    }
    const [made] = await handler.processRouterDest([input], {});
    return made.error ?? "";
  } catch (error) {
    return error.message.split("\n")[0];
  }
}

async function outcome(name, implementation, messages, destination) {
  const types = {};
  for (const message of messages) {
    const reason = await refusal(name, implementation, inputOf(message, destination));
    if (!reason) types[message.type] = "";
    else types[message.type] ??= reason;
  }
  return types;
}

function destinations() {
  const folder = (place) => fs.readdirSync(path.join(checkout, place));
  const own = folder("src/v0/destinations").map((name) => [name, "native"]);
  const cdk = folder("src/cdk/v2/destinations").filter((name) => !name.includes("."));
  const both = new Map([...own, ...cdk.map((name) => [name, "cdk"])]);
  return [...both].sort();
}

async function main() {
  const ways = JSON.parse(fs.readFileSync(callsFile, "utf8")).rudderstack;
  const rows = [];
  for (const [name, implementation] of destinations()) {
    const configs = configsOf(name);
    const row = { receiver: name, ways: {} };
    for (const [way, days] of Object.entries(ways)) {
      let best = { enter: {}, exit: {} };
      for (const config of configs) {
        const enter = await outcome(name, implementation, days.enter, config);
        if (!Object.values(enter).includes("")) continue;
        best = { enter, exit: await outcome(name, implementation, days.exit, config) };
        if (Object.values(best.exit).includes("")) break;
      }
      row.ways[way] = best;
    }
    rows.push(row);
  }
  report(rows, Object.keys(ways));
  process.exit(0);
}

main();
