#!/usr/bin/env node
// An agent for the `session` executor: one process serves run after run. Copy it and replace work().
//
// stdin   {"kind":"run","run":1,"assignment":"...","messages":[...]}; while it works perhaps {"kind":"message","run":1,"text":"..."}
//         and {"kind":"cancel","run":1}; after its end the next run
// stdout  the run's events, each an object with a "type"; at its end {"kind":"terminal","run":1,"status":"completed","result":"..."}
//
// It says the words of its assignment again. At the word "listen" it waits until somebody speaks.
'use strict';
const { EventEmitter, on } = require('node:events');

const say = (line) => process.stdout.write(JSON.stringify(line) + '\n');
let active = null; // the run that is served

// `heard` yields what the run is told, from its beginning on. A cancel aborts `signal`: give it to whatever waits.
async function work({ assignment, run }, heard, signal) {
  const said = [];
  for (const word of assignment.split(/\s+/).filter(Boolean)) {
    signal.throwIfAborted();
    const [text] = word === 'listen' ? (await heard.next()).value : [word];
    say({ type: 'token', content: text + ' ' });
    said.push(text);
  }
  return `echo: ${said.join(' ')} (process ${process.pid}, run ${run})`;
}

async function serve(frame) {
  active = { run: frame.run, told: new EventEmitter(), stop: new AbortController() };
  const { signal } = active.stop;
  const end = await work(frame, on(active.told, 'message', { signal }), signal).then(
    (result) => ({ status: 'completed', result }),
    (problem) => (signal.aborted ? { status: 'cancelled' } : { status: 'error', error: String(problem) }),
  );
  active = null;
  say({ kind: 'terminal', run: frame.run, ...end });
}

function hear(frame) {
  if (frame.kind === 'run') serve(frame);
  else if (frame.run !== active?.run) return; // it came too late for its run
  else if (frame.kind === 'cancel') active.stop.abort();
  else if (frame.kind === 'message') active.told.emit('message', frame.text);
}

let rest = ''; // not node:readline: it also cuts at U+2028, which may stand in a JSON string
process.stdin.setEncoding('utf8').on('data', (piece) => {
  const [first, ...others] = piece.split('\n');
  rest += first;
  for (const line of others) {
    hear(JSON.parse(rest));
    rest = line;
  }
});
