// The snippets of the guides in docs/.

import { readFileSync } from 'node:fs';

const SNIPPET = /^<!-- snippet: (\S+) -->\n```\w+\n(.*?)^```$/gms;

/** `{text, snippets}`: a guide, and what stands in it below `<!-- snippet: NAME -->`, by name. */
export function readGuide(name) {
  const text = readFileSync(new URL(`../../../docs/${name}`, import.meta.url), 'utf8');
  return { text, snippets: new Map([...text.matchAll(SNIPPET)].map(([, name, code]) => [name, code])) };
}
