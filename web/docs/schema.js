// What a JSON schema of the document means: its type in words, its fields, an example of it.

/**
 * @typedef {Record<string, any>} Schema
 * @typedef {Record<string, any>} OpenApi
 */

/**
 * The schema that a reference names, or the schema itself.
 * @param {OpenApi} document @param {Schema} schema @returns {Schema}
 */
export function resolved(document, schema = {}) {
  if (!schema.$ref) return schema;
  const name = schema.$ref.split('/').at(-1);
  return { ...document.components.schemas[name], ...schema, $ref: undefined };
}

/**
 * The choices of a schema but null.
 * @param {OpenApi} document @param {Schema} schema @returns {Schema[]}
 */
function choices(document, schema) {
  const all = schema.oneOf ?? schema.anyOf ?? [];
  return all.map((one) => resolved(document, one)).filter(({ type }) => type !== 'null');
}

/**
 * A type in words, such as `string (uuid)`.
 * @param {OpenApi} document @param {Schema} given @returns {string}
 */
export function typeOf(document, given) {
  const schema = resolved(document, given);
  const several = choices(document, schema);
  if (several.length) return several.map((one) => typeOf(document, one)).join(' or ');
  const allowed = schema.enum?.map((value) => JSON.stringify(value)).join(' or ');
  if (allowed) return allowed;
  const [type = 'any'] = [schema.type].flat().filter((type) => type !== 'null');
  if (type === 'array') return `array of ${typeOf(document, schema.items)}`;
  const format = { 'date-time': 'time', uuid: 'UUID' }[schema.format];
  return format ? `${type} (${format})` : type;
}

/**
 * The object whose fields are worth listing: the schema, its choice, or what its array holds.
 * @param {OpenApi} document @param {Schema} given @returns {Schema | undefined}
 */
export function objectIn(document, given) {
  const schema = resolved(document, given);
  if (schema.properties) return schema;
  const inside = [schema.items, schema.additionalProperties, ...choices(document, schema)];
  for (const one of inside) {
    const found = typeof one === 'object' && objectIn(document, one);
    if (found) return found;
  }
  return undefined;
}

/**
 * An example of what a schema allows.
 * @param {OpenApi} document @param {Schema} given @returns {any}
 */
export function exampleOf(document, given) {
  const schema = resolved(document, given);
  if (schema.example !== undefined) return schema.example;
  if (schema.enum) return schema.enum[0];
  const several = choices(document, schema);
  // An id may be a string of digits or an integer: then the integer needs no example.
  const first = several.find(({ example, type }) => example ?? type === 'integer') ?? several[0];
  if (first) return exampleOf(document, first);
  const [type] = [schema.type].flat().filter((type) => type !== 'null');
  if (schema.properties) {
    const fields = Object.entries(schema.properties);
    return Object.fromEntries(fields.map(([name, field]) => [name, exampleOf(document, field)]));
  }
  if (type === 'array') return [exampleOf(document, schema.items)];
  if (type === 'integer') return schema.minimum || 1;
  if (type === 'boolean') return true;
  if (type === 'object') return {};
  return schema.format === 'uuid' ? '0192f0c1-2345-7890-abcd-ef0123456789' : 'text';
}
