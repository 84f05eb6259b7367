import { compileRegex, REGEX_PATH_LIMIT, regexProblem } from 'mproxy-service/layers/path-regex';
import t from 'tap';

const GROUP = /^a group is repeated/;
const OVERLAP = /^its repetitions overlap/;

t.test('regular expressions whose time may grow without a bound are refused', (t) => {
  for (const [source, problem] of [
    ['^/old/(.*)$', undefined],
    ['^/([^/]+)/([^/]+)/(.*)$', undefined],
    ['^/(?<year>\\d{4})-(?<month>\\d{2})/(?:index)?$', undefined],
    ['^/(.*)/x/(.*)$', undefined],
    ['^/a/(b|c)/[^/]*\\.html?$', undefined],
    ['\\.php$', undefined],
    ['/old/(.*)$', undefined],
    ['^/[\\w\\-]+$', undefined],
    ['^/\\x61+b', undefined],
    ['^/(a+)+$', GROUP],
    ['^/(?:ab)*', GROUP],
    ['^/(a|aa)+$', GROUP],
    ['^/(a|b){2,9}$', GROUP],
    ['^(.*)(.*)(.*)x', OVERLAP],
    ['^/.*.*x', OVERLAP],
    ['^/[a-z]*[a-m]*[0-9]', OVERLAP],
    ['.*/x/.*y', OVERLAP],
    ['^/a.*b.*c|x', OVERLAP],
    ['^/.*a?.*b', OVERLAP],
    ['^/\\w*\\x61\\w*b', OVERLAP],
    ['^/\\w*\\x61\\w*!', undefined],
    ['^/(a)\\1', /^\\1 cannot be used here/],
    ['^/(?=a)', /^\(\?=a cannot be used here/],
    ['^/(?<!a)b', /^\(\?<! cannot be used here/],
    ['^/\\p{L}', /^\\p\{L cannot be used here/],
    ['^/(', /^Unterminated group/],
    ['^/[b-a]', /Range out of order/],
  ] as const) {
    const found = regexProblem(source);
    if (problem === undefined) t.equal(found, undefined, source);
    else t.match(found, problem, source);
  }
  t.throws(() => compileRegex('(a*)*'), { name: 'SyntaxError', message: /^\(a\*\)\*: a group is repeated/ });
  t.end();
});

t.test('those that are not refused take less than 100 ms for the worst paths', (t) => {
  const most = REGEX_PATH_LIMIT;
  for (const source of ['^/(.*)/x/(.*)$', '/old/(.*)!$', '^/([^/]*)([^/]*)$', '[a-z]+x$', '^.*a.*!']) {
    if (regexProblem(source) !== undefined) continue;
    const regex = compileRegex(source);
    for (const path of [
      '/a'.repeat(most / 2),
      `/${'a'.repeat(most - 1)}`,
      '/x'.repeat(most / 2),
      '/old'.repeat(most / 4),
    ]) {
      const { user } = process.cpuUsage();
      regex.test(path);
      const took = process.cpuUsage({ user, system: 0 }).user;
      if (took > 100_000) t.fail(`${source} took ${took} us of ${path.slice(0, 10)}...`);
    }
  }
  t.end();
});
