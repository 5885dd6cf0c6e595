// The API page: shows openapi.json, readable from a phone up. It loads nothing else.

import { make, paragraphs, prose } from './make.js';
import { exampleOf, objectIn, typeOf } from './schema.js';
import { trialOf } from './trial.js';

/**
 * @typedef {import('./schema.js').OpenApi} OpenApi
 * @typedef {import('./schema.js').Schema} Schema
 * @typedef {{ method: string, path: string, call: Record<string, any>, id: string }} Call
 */

/** How deep the fields of an object inside another are listed. */
const DEEPEST = 4;
const METHODS = ['get', 'put', 'post', 'delete', 'patch', 'head', 'options'];

/**
 * A name with its type and description.
 * @param {OpenApi} openApi @param {string} name @param {Schema} schema
 * @param {string} [also] @param {string} [description]
 */
const entry = (openApi, name, schema, also = '', description = schema.description) => [
  make(
    'dt',
    {},
    make('code', {}, name),
    make('span', { class: 'type' }, ` ${typeOf(openApi, schema)}${also}`),
  ),
  make('dd', {}, ...prose(description)),
];

/**
 * The fields of an object, and of the objects in it.
 * @param {OpenApi} openApi @param {Schema} schema @param {number} [depth]
 */
function fieldsOf(openApi, schema, depth = 0) {
  const object = objectIn(openApi, schema);
  if (!object || depth > DEEPEST) return [];
  const fields = Object.entries(object.properties);
  const list = fields.flatMap(([name, field]) => {
    const inside = fieldsOf(openApi, field, depth + 1);
    const deeper = inside.length ? [make('dd', {}, folded(`Fields of ${name}`, inside))] : [];
    return [
      ...entry(openApi, name, field, object.required?.includes(name) ? '' : ', optional'),
      ...deeper,
    ];
  });
  return [make('dl', {}, ...list)];
}

/** What is shown when somebody wants to see it. @param {string} title @param {Node[]} inside */
const folded = (title, inside) => make('details', {}, make('summary', {}, title), ...inside);

/** A body and its example. @param {OpenApi} openApi @param {Record<string, any>} content */
function bodyOf(openApi, content) {
  return Object.entries(content ?? {}).flatMap(([type, { schema, example }]) => {
    const shown =
      example ?? (schema && type.includes('json') ? exampleOf(openApi, schema) : undefined);
    const text = typeof shown === 'string' ? shown : JSON.stringify(shown, null, 2);
    return [
      make('p', {}, make('code', {}, type)),
      ...(schema ? fieldsOf(openApi, schema) : []),
      ...(text ? [make('pre', { tabindex: '0' }, text)] : []),
    ];
  });
}

/**
 * One response.
 * @param {OpenApi} openApi @param {string} status @param {Record<string, any>} response
 */
function responseOf(openApi, status, { description, headers = {}, content }) {
  const named = Object.entries(headers).flatMap(([name, { schema, description }]) =>
    entry(openApi, name, schema, ' (header)', description),
  );
  return folded(`${status}: ${description.replaceAll('`', '')}`, [
    make('dl', {}, ...named),
    ...bodyOf(openApi, content),
  ]);
}

/** All of a call. @param {OpenApi} openApi @param {Call} call */
function inside(openApi, { method, path, call }) {
  const parameters = (call.parameters ?? []).flatMap((one) =>
    entry(
      openApi,
      one.name,
      one.schema,
      ` (${one.in}${one.required ? '' : ', optional'})`,
      one.description,
    ),
  );
  return [
    ...paragraphs(call.description),
    ...(parameters.length ? [make('h3', {}, 'Parameters'), make('dl', {}, ...parameters)] : []),
    ...(call.requestBody
      ? [make('h3', {}, 'Body'), ...bodyOf(openApi, call.requestBody.content)]
      : []),
    make('h3', {}, 'Answers'),
    ...Object.entries(call.responses).map(([status, response]) =>
      responseOf(openApi, status, response),
    ),
    make('h3', {}, 'Try it'),
    trialOf(openApi, method, path, call),
  ];
}

/**
 * A call, filled when it is first opened: most are not.
 * @param {OpenApi} openApi @param {Call} call
 */
function shown(openApi, call) {
  const { method, path, id } = call;
  const title = make(
    'summary',
    {},
    ...titleOf(method, path),
    make('span', { class: 'does' }, ...prose(call.call.summary)),
  );
  const details = /** @type {HTMLDetailsElement} */ (make('details', { class: 'call', id }, title));
  details.addEventListener('toggle', () => details.append(...inside(openApi, call)), {
    once: true,
  });
  return details;
}

/**
 * A method and a path, which may break behind each slash.
 * @param {string} method @param {string} path
 */
function titleOf(method, path) {
  const steps = path
    .split('/')
    .slice(1)
    .flatMap((step) => [`/${step}`, make('wbr')]);
  return [
    make('span', { class: `method ${method}` }, method.toUpperCase()),
    ' ',
    make('span', { class: 'path' }, ...steps),
  ];
}

/** All calls of the document. @param {OpenApi} openApi @returns {Call[]} */
function callsOf(openApi) {
  return Object.entries(openApi.paths).flatMap(([path, methods]) =>
    METHODS.filter((method) => methods[method]).map((method) => ({
      method,
      path,
      call: methods[method],
      id: `${method}${path.replaceAll(/[{}]/g, '')}`,
    })),
  );
}

/** Opens the call that the address names. */
function openNamed() {
  const named = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!(named instanceof HTMLDetailsElement)) return;
  named.open = true;
  named.scrollIntoView();
}

/** Fills the page. @param {OpenApi} openApi */
function show(openApi) {
  document
    .getElementById('about')
    ?.append(`Release ${openApi.info.version}. `, ...prose(openApi.info.description));
  const calls = callsOf(openApi);
  const index = document.querySelector('nav');
  const main = document.querySelector('main');
  for (const { name, description } of openApi.tags) {
    const own = calls.filter(({ call }) => call.tags.includes(name));
    const links = own.map(({ method, path, id }) =>
      make('li', {}, make('a', { href: `#${id}` }, ...titleOf(method, path))),
    );
    index?.append(make('h2', {}, name), make('ul', {}, ...links));
    main?.append(
      make('h2', {}, name),
      ...paragraphs(description),
      ...own.map((call) => shown(openApi, call)),
    );
  }
  addEventListener('hashchange', openNamed);
  openNamed();
}

try {
  const answer = await fetch('../openapi.json');
  if (!answer.ok) throw new Error(`the answer was ${answer.status}`);
  show(await answer.json());
} catch (error) {
  const { message } = /** @type {Error} */ (error);
  const text = `The page could not load the OpenAPI document (${message}). Load the page again.`;
  document.getElementById('problem')?.append(text);
}
