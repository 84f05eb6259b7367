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

t.test('those that are not refused take less than 50 ms for the worst paths', (t) => {
  const most = REGEX_PATH_LIMIT;
  const sources = ['^/(.*)/x/(.*)$', '/old/(.*)$', '^(.*)([^/]*)/x!$', '^/[a-z/]*x', '/[^/]+$'];
  const units = ['/a', 'a', '/x', '/old/', 'x/', '/x!'];
  for (const source of sources) {
    const regex = compileRegex(source);
    for (const unit of units) {
      const path = `/${unit.repeat(most)}`.slice(0, most);
      const { user } = process.cpuUsage();
      regex.test(path);
      const took = process.cpuUsage({ user, system: 0 }).user;
      t.ok(took < 50_000, `${source} for ${unit}: ${took} us`);
    }
  }
  t.end();
});
