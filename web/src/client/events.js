// Reads a `text/event-stream`.

import { within } from './waits.js';

/** The service sends a comment every 15 s, so a stream that is silent for this long is dead. */
const STREAM_IDLE_MS = 40_000;

/**
 * Yields the data of each event, however it is split into chunks. Calls `onRetry` with the
 * reconnect delay that the service sends.
 */
export async function* serverSentEvents(body, controller, onRetry) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const data = [];
  for (let rest = ''; ;) {
    const { done, value } = await within(STREAM_IDLE_MS, controller, () => reader.read());
    if (done) return;
    // A CR at the end may be half of a CRLF, so it stays in `rest` until the next chunk.
    const lines = (rest + decoder.decode(value, { stream: true })).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line.startsWith('data:')) data.push(line.slice(5));
      if (/^retry: ?\d+$/.test(line)) onRetry(Number(line.slice(6)));
      if (!line && data.length) yield data.splice(0).join('\n');
    }
  }
}
