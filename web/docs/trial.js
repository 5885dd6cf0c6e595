// A form that sends a call to this service and shows the answer.

import { make } from './make.js';
import { exampleOf } from './schema.js';

/** @typedef {import('./schema.js').OpenApi} OpenApi */

const SHOWN_BYTES = 20_000;

/**
 * The address of a call with these values.
 * @param {string} path @param {{in: string, name: string, value: string}[]} fields
 */
function addressOf(path, fields) {
  const query = new URLSearchParams();
  let address = path;
  for (const field of fields) {
    if (field.in === 'path')
      address = address.replace(`{${field.name}}`, encodeURIComponent(field.value));
    // A parameter may be repeated: one value a line, or separated by spaces.
    if (field.in === 'query')
      for (const value of field.value.split(/\s+/).filter(Boolean)) query.append(field.name, value);
  }
  const asked = query.toString();
  // Relative, so that the page also works behind a prefix.
  return `..${address}${asked && `?${asked}`}`;
}

/**
 * The beginning of an answer. A stream never ends, so reading stops at a size, or when nothing
 * more comes.
 * @param {Response} answer
 */
async function textOf(answer) {
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  while (reader && text.length < SHOWN_BYTES) {
    const silence = new Promise((done) => setTimeout(done, 3000, { done: true }));
    const { done, value } = await Promise.race([reader.read(), silence]);
    if (value) text += value;
    if (done) break;
  }
  await reader?.cancel().catch(() => {});
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text.slice(0, SHOWN_BYTES);
  }
}

/**
 * The form of a call.
 * @param {OpenApi} openApi @param {string} method @param {string} path
 * @param {Record<string, any>} call
 */
export function trialOf(openApi, method, path, call) {
  const form = make('form');
  const inputs = (call.parameters ?? []).map((parameter) => {
    const example = parameter.required
      ? (parameter.example ?? exampleOf(openApi, parameter.schema))
      : '';
    const value = [example].flat().join(' ');
    const input = /** @type {HTMLInputElement} */ (
      make('input', {
        name: parameter.name,
        value,
        autocomplete: 'off',
        autocapitalize: 'none',
        spellcheck: 'false',
        required: parameter.in === 'path',
      })
    );
    form.append(make('label', {}, `${parameter.name} (${parameter.in})`, input));
    return { parameter, input };
  });
  const schema = call.requestBody?.content?.['application/json']?.schema;
  const text = schema && JSON.stringify(exampleOf(openApi, schema), null, 2);
  const body =
    schema &&
    /** @type {HTMLTextAreaElement} */ (
      make('textarea', { spellcheck: 'false', autocapitalize: 'none' }, text)
    );
  if (body) form.append(make('label', {}, 'Body (JSON)', body));
  const answer = make('div', { role: 'status' });
  form.append(make('button', {}, 'Send'), answer);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const fields = inputs.map(({ parameter, input }) => ({
      in: parameter.in,
      name: parameter.name,
      value: input.value,
    }));
    const headers = Object.fromEntries(
      fields
        .filter((field) => field.in === 'header' && field.value)
        .map(({ name, value }) => [name, value]),
    );
    if (body?.value) headers['Content-Type'] = 'application/json';
    answer.replaceChildren(make('p', {}, 'Sending …'));
    try {
      const response = await fetch(addressOf(path, fields), {
        method: method.toUpperCase(),
        headers,
        body: body?.value || undefined,
        cache: 'no-store',
      });
      const status = `${response.status} ${response.statusText}`.trim();
      answer.replaceChildren(
        make('p', {}, make('strong', {}, status)),
        make('pre', { tabindex: '0' }, await textOf(response)),
      );
    } catch (error) {
      answer.replaceChildren(
        make('p', {}, `No answer (${error}). Check that the service runs, then send again.`),
      );
    }
  });
  return form;
}
