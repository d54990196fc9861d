/**
 * Feed recorded calls to each action of @segment/action-destinations, and print which receivers accept them.
 *
 *     node tests/receivers/segment.cjs CALLS FOLDER [--all]       FOLDER has node_modules (package.json)
 *
 * An action gets the messages about the audience that its own subscription selects, with its own default mapping. It
 * accepts a message if it makes a request for it: each request is answered here, and none leaves this machine. Where an
 * action accepts entries only, another action of the receiver has to accept the exits.
 */
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { createRequire } = require("node:module");
const { answerAllRequests, requestsOf } = require("./answers.cjs");
const { report } = require("./report.cjs");

const [callsFile, folder] = process.argv.slice(2);
const load = createRequire(path.resolve(folder, "package.json"));
answerAllRequests(load);
const { destinations } = load("@segment/action-destinations");
const { Destination } = load("@segment/actions-core");
const { parseFql, validate } = load("@segment/destination-subscriptions");
const DEFAULTS = new Map([["number", 1], ["integer", 1], ["boolean", true], ["object", {}], ["datetime", "2026-11-23"]]);

const SURROUNDINGS = {
  auth: { accessToken: "token", refreshToken: "token", clientId: "id", clientSecret: "secret" },
  features: {},
  statsContext: {},
  transactionContext: {},
  stateContext: {},
  subscriptionMetadata: {},
  logger: { info() {}, warn() {}, error() {} },
};

/** Segment adds the times to a message that it received. */
function received(message) {
  const times = { originalTimestamp: message.timestamp, receivedAt: message.timestamp, sentAt: message.timestamp };
  return { ...structuredClone(message), ...times };
}

/** A value for a field that has to be filled in by a person. */
function example(field, name) {
  if (field.default !== undefined && !isDirective(field.default)) return field.default;
  if (field.choices?.length) return field.choices[0].value ?? field.choices[0];
  if (/url|endpoint|domain|host/i.test(name) || field.format?.startsWith("uri")) return "https://receiver.example.com";
  if (/email/i.test(name) || field.format === "email") return "owner@example.com";
  const value = DEFAULTS.get(field.type) ?? "1234567";
  return field.multiple ? [value] : value;
}

function isDirective(value) {
  return value !== null && typeof value === "object";
}

function settingsOf(definition) {
  const fields = definition.authentication?.fields ?? {};
  return Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, example(field, name)]));
}

/** The mapping and the subscription of an action: a preset's, or its own defaults. Required fields are filled in. */
function subscriptionsOf(definition) {
  const found = [];
  for (const [slug, action] of Object.entries(definition.actions)) {
    const defaults = {};
    for (const [name, field] of Object.entries(action.fields)) {
      if (field.default !== undefined) defaults[name] = field.default;
      else if (field.required === true) defaults[name] = example(field, name);
    }
    if (action.syncMode) defaults.__segment_internal_sync_mode = action.syncMode.default;
    const presets = (definition.presets ?? []).filter((preset) => preset.partnerAction === slug);
    const variants = presets.map((preset) => ({ subscribe: preset.subscribe, mapping: { ...defaults, ...preset.mapping } }));
    variants.push({ subscribe: action.defaultSubscription ?? "type = \"identify\" or type = \"track\"", mapping: defaults });
    found.push([slug, variants]);
  }
  return found;
}

/** Return by type of message why an action makes no request of a day's messages; an empty text if it makes one. */
async function outcome(destination, slug, variants, messages, settings) {
  const types = {};
  for (const { subscribe, mapping } of variants) {
    const parsed = parseFql(subscribe ?? "");
    for (const event of parsed.error || !subscribe ? [] : messages.filter((each) => validate(parsed, each))) {
      let reason = "no request";
      const made = await requestsOf(async () => {
        try {
          await destination.executeAction(slug, { event: received(event), mapping, settings, ...SURROUNDINGS });
        } catch (error) {
          reason = error.message.split("\n")[0];
        }
      });
      if (made.length) types[event.type] = "";
      else types[event.type] ??= reason;
    }
  }
  return types;
}

/** Add to an exit what the receiver's other actions accept of it, if the action itself is not subscribed to exits. */
function withOtherActions({ enter, exit }, others) {
  const found = { ...exit };
  for (const type of Object.keys(enter).filter((each) => !(each in exit))) {
    const reasons = others.filter((each) => type in each.exit && !(type in each.enter)).map((each) => each.exit[type]);
    found[type] = reasons.includes("") ? "" : (reasons[0] ?? "the receiver has no action for exits");
  }
  return { enter, exit: found };
}

function isAboutAudience(message) {
  return "vip" in (message.traits ?? message.properties);
}

async function rowsOf(name, definition, ways) {
  const settings = settingsOf(definition);
  const destination = new Destination(definition);
  const rows = subscriptionsOf(definition).map(([slug, variants]) => ({ receiver: `${name}/${slug}`, slug, variants, ways: {} }));
  for (const [way, days] of Object.entries(ways)) {
    const outcomes = [];
    for (const { slug, variants } of rows) {
      const [enter, exit] = [days.enter, days.exit].map((messages) => messages.filter(isAboutAudience));
      outcomes.push({
        enter: await outcome(destination, slug, variants, enter, settings),
        exit: await outcome(destination, slug, variants, exit, settings),
      });
    }
    rows.forEach((row, index) => {
      row.ways[way] = withOtherActions(outcomes[index], outcomes);
    });
  }
  return rows;
}

async function main() {
  const ways = JSON.parse(fs.readFileSync(callsFile, "utf8")).segment;
  const rows = [];
  for (const [name, definition] of Object.entries(destinations)) rows.push(...(await rowsOf(name, definition, ways)));
  report(rows, Object.keys(ways));
  process.exit(0);
}

main();
