// The guide's Django forum, running.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { readGuide } from './guide.js';

const DJANGO = fileURLToPath(new URL('../../../target/test-tools/django', import.meta.url));
const RUNNER = fileURLToPath(new URL('django_forum.py', import.meta.url));

/**
 * A forum. Its thread 1 has the posts 41 and 42, its thread 2 has none. `cookie(7)` is the session
 * of user 7; there is a user 8, too.
 */
export async function startForum(service, secret = '/dev/null') {
  if (!existsSync(DJANGO)) throw new Error('Django is not there: `make web-tools` installs it');
  const { snippets } = readGuide('frontend.md');
  const folder = await mkdtemp(join(tmpdir(), 'onetap-forum-'));
  const child = spawn('python3', ['-B', RUNNER], {
    env: { ...process.env, PYTHONPATH: DJANGO },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let log = '';
  child.stderr.on('data', (text) => (log += text));
  const gone = once(child, 'exit');
  const given = {
    folder,
    onetap: service.url,
    secret,
    tokens: snippets.get('tokens.py'),
    urls: snippets.get('urls.py'),
    views: snippets.get('views.py'),
    template: snippets.get('thread.html'),
  };
  child.stdin.write(`${JSON.stringify(given)}\n`);
  const [line] = await Promise.race([once(createInterface({ input: child.stdout }), 'line'), gone]);
  if (typeof line !== 'string') throw new Error(`the forum ended: ${log}`);
  const { url, sessions } = JSON.parse(line);
  return {
    url,
    session: (user) => sessions[user],
    cookie: (user) => ({ Cookie: `sessionid=${sessions[user]}` }),
    log: () => log,
    /** Ends the forum by ending its input. That also happens when the test's process dies. */
    async stop() {
      child.stdin.end();
      await gone;
      await rm(folder, { recursive: true });
    },
  };
}
