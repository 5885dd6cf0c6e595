// Reads a `text/event-stream`.

import { within } from './waits.js';

/** The service says something every 15 s: a stream that is silent for so long is dead. */
const STREAM_IDLE_MS = 40_000;

/**
 * The data of each event, whatever the chunks that it comes in. `onRetry` gets the wait before a
 * reconnect that the service asks for.
 */
export async function* serverSentEvents(body, controller, onRetry) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const data = [];
  for (let rest = ''; ;) {
    const { done, value } = await within(STREAM_IDLE_MS, controller, () => reader.read());
    if (done) return;
    // A CR at the end may be half of a CRLF: it waits for what comes next.
    const lines = (rest + decoder.decode(value, { stream: true })).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line.startsWith('data:')) data.push(line.slice(5));
      if (/^retry: ?\d+$/.test(line)) onRetry(Number(line.slice(6)));
      if (!line && data.length) yield data.splice(0).join('\n');
    }
  }
}
