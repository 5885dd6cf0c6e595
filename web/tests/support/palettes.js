// A service with palettes, and what a moderator does.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { startService } from './service.js';

const PALETTES = `
[palettes.default]
reactions = ["like", "up", "down", "👍"]
exclusive = [["up", "down"]]
max_per_user_and_post = 2

[palettes.default.aliases]
"+1" = "👍"

[palettes.qa]
reactions = ["helpful", "same-question"]
exclusive = "*"
`;

/** The service, with a palette whose `up` and `down` exclude each other, and `qa`. */
export async function startWithPalettes(store = undefined) {
  const folder = await mkdtemp(join(tmpdir(), 'onetap-palettes-'));
  const file = join(folder, 'onetap.toml');
  await writeFile(file, PALETTES);
  const service = await startService({ store, args: ['--config', file] });
  const stop = async () => {
    await service.stop();
    await rm(folder, { recursive: true });
  };
  return { ...service, stop };
}

/** A moderator's call on a post: `rules` or `lock`. */
export async function moderate(service, post, what, method = 'PUT', body = undefined) {
  const response = await fetch(`${service.url}/v1/posts/${post}/${what}`, {
    method,
    headers: body ? { 'Content-Type': 'application/json' } : {},
    body: body && JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  return response.json();
}
