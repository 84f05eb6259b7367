import { isFieldValue, isToken } from 'mproxy-http/field-rules';
import { list, map, object, text } from '../config-keys.js';

/** Fields that the connection and the framing of messages depend on: the program's own alone. */
const OWN = [
  'connection',
  'content-length',
  'date',
  'expect',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];

/** What is wrong with the name of a field that a layer is to change; undefined: nothing. */
export function fieldNameProblem(name: string): string | undefined {
  if (!isToken(name)) return 'it is no name of a field';
  const lower = name.toLowerCase();
  if (lower === 'host') return 'Host cannot be changed here; see host_header of the route';
  return OWN.includes(lower) ? 'it belongs to the connection, and cannot be changed here' : undefined;
}

/** The name of a field: a key that a layer has. */
export function fieldName<const D extends { help: string; default?: string }>(definition: D) {
  return text({ expected: 'the name of a field', ...definition }, fieldNameProblem);
}

function fieldValueProblem(value: string): string | undefined {
  return isFieldValue(value) ? undefined : 'it has what no value of a field may have';
}

const value = text({ help: '', required: true, expected: 'the value of a field' }, fieldValueProblem);
const name = text({ help: '', required: true, expected: 'the name of a field' }, fieldNameProblem);

/** Fields by their names. */
export function fieldMap<const D extends { help: string }>(definition: D) {
  return map(
    value,
    { expected: 'an object of fields, each with a value as a string', ...definition },
    fieldNameProblem,
  );
}

/** Changes of the fields of a message. */
export function fieldChanges<const D extends { help: string }>(definition: D) {
  return object(
    {
      remove: list(name, { help: 'names of fields that are removed, before the other two' }),
      set: fieldMap({ help: 'fields that get one value, instead of those that are there' }),
      add: fieldMap({ help: 'fields that are added to those that are there' }),
    },
    definition,
  );
}
