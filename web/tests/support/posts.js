// What the tests say about posts without the client.

import { randomUUID } from 'node:crypto';

export const newPost = () => randomUUID();

/** What the service holds of a reaction, asked past every proxy: `{count, mine}`. */
export async function held(service, post, user, reaction = 'like') {
  const response = await fetch(`${service.url}/v1/posts/${post}/reactions?user_id=${user}`);
  const found = (await response.json()).reactions.find((r) => r.reaction === reaction);
  return { count: found?.count ?? 0, mine: found?.mine ?? false };
}

/** Another user's tap, past every proxy. */
export async function other(service, post, user, active = true, reaction = 'like') {
  const path = `/v1/posts/${post}/reactions/${encodeURIComponent(reaction)}/users/${user}`;
  const response = await fetch(service.url + path, { method: active ? 'PUT' : 'DELETE' });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  return response.json();
}
