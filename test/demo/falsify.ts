// Loaded before the demonstration (--import), falsifies what its servers answer: once a byte of a page, and once an event is left out.
import { ServerResponse } from 'node:http';

const { end, write } = ServerResponse.prototype;
let pages = 0;

ServerResponse.prototype.end = function (this: ServerResponse, ...args: unknown[]) {
  if (this.req.url === '/?visit=1' && ++pages === 20) {
    const other = Buffer.from(args[0] as Buffer);
    other[100]! ^= 1;
    return end.call(this, other, 'utf8');
  }
  return Reflect.apply(end, this, args) as ServerResponse;
};

ServerResponse.prototype.write = function (this: ServerResponse, ...args: unknown[]) {
  if (String(args[0]).startsWith('id: 7\n')) return true;
  return Reflect.apply(write, this, args) as boolean;
};
