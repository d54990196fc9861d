/** Print which receivers accept an entry and an exit. */
"use strict";

/**
 * ``rows``: each with a receiver and, by way and day, why it accepts no message of a type; an empty text if it accepts one.
 * An exit counts only by every type of message (identify, track) by which the receiver accepted the entry. With ``--all``
 * each receiver has a line, and otherwise those that accept the entry alone.
 */
function report(rows, ways) {
  const showsAll = process.argv.includes("--all");
  for (const way of ways) {
    const accepting = rows.filter((row) => accepted(row.ways[way].enter).length);
    const reached = accepting.filter((row) => !reasons(row.ways[way]).length);
    console.log(`\n${way}: ${accepting.length} receivers accept the entry, ${reached.length} of them the exit`);
    for (const row of showsAll ? rows : accepting.filter((each) => !reached.includes(each))) {
      console.log(`  ${row.receiver.padEnd(50)} ${line(row.ways[way], accepting.includes(row), reached.includes(row))}`);
    }
  }
}

function line(days, acceptsEntry, acceptsExit) {
  if (acceptsExit) return "entry yes, exit yes";
  if (acceptsEntry) return `entry yes, exit no: ${reasons(days).join("; ")}`;
  const why = Object.entries(days.enter).map(([type, reason]) => `${type}: ${reason}`);
  return `entry no: ${why.join("; ") || "subscribed to other events"}`;
}

function accepted(types) {
  return Object.keys(types).filter((type) => types[type] === "");
}

function reasons({ enter, exit }) {
  return accepted(enter)
    .filter((type) => exit[type] !== "")
    .map((type) => `${type}: ${exit[type] ?? "no message"}`);
}

module.exports = { report };
