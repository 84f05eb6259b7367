import { fileNames } from 'mproxy-service/static/file-path';
import { mediaType } from 'mproxy-service/static/media-types';
import t from 'tap';

t.test('what Windows reads as another file is no name there', (t) => {
  for (const name of [
    'a:b',
    'a.txt::$DATA',
    'con',
    'NUL.txt',
    'com1',
    'a.',
    'a%20',
    'a%5Cb',
    'PROGRA~1',
    'a%01',
    'a*',
    'a%3F',
  ])
    t.strictSame([fileNames(`/${name}`, true), fileNames(`/${name}`, false)?.length], [undefined, 1], name);
  t.strictSame(fileNames('/a b/console.txt', true), ['a b', 'console.txt']);
  t.end();
});

t.test('media types', (t) => {
  for (const [name, type] of [
    ['a.HTML', 'text/html; charset=utf-8'],
    ['a.min.js', 'text/javascript; charset=utf-8'],
    ['a.svg', 'image/svg+xml'],
    ['a.json', 'application/json'],
    ['a.tar.gz', 'application/gzip'],
    ['html', 'application/octet-stream'],
    ['a.', 'application/octet-stream'],
    ['a.constructor', 'application/octet-stream'],
  ] as const)
    t.equal(mediaType(name), type, name);
  t.end();
});
