/**
 * The import rules of docs/architecture.md. `test/architecture.test.ts` runs them over the sources, and over planted
 * violations of each.
 */

/** What each room may import beside itself. A room that is not here may import no other. */
const ALLOWED = {
  units: [],
  stats: ['units'],
  catalog: ['units'],
  machine: ['units', 'catalog'],
  model: ['units', 'catalog'],
  engine: ['units', 'machine', 'model'],
  measure: ['units', 'stats', 'machine', 'model', 'engine'],
  predict: ['units', 'stats', 'catalog', 'machine', 'model', 'measure'],
  advise: ['units', 'stats', 'catalog', 'machine', 'model', 'engine', 'measure', 'predict'],
  report: ['units', 'stats', 'catalog', 'machine', 'model', 'engine', 'measure', 'predict', 'advise'],
  store: ['units', 'measure'],
};
const ROOMS = Object.keys(ALLOWED);

/** Where `node:*`, processes, files and native libraries may be used. */
const SHELL = ['/host/', '^src/cli/', '^src/web/server/'];

/** The libraries that turn values into values, run anywhere, and are allowed to pure files. */
const PURE_LIBRARIES = '(?:^|/)node_modules/(?:zod|cli-table3)/';

module.exports = {
  forbidden: [
    ...ROOMS.map((room) => ({
      name: `direction-${room}`,
      comment: `${room} may import ${ALLOWED[room].join(', ') || 'no other room'}`,
      severity: 'error',
      from: { path: `^src/${room}/` },
      to: { path: '^src/', pathNot: [room, ...ALLOWED[room]].map((name) => `^src/${name}/`) },
    })),
    {
      name: 'known-room',
      comment: 'every file of src/ lies in a room of the list',
      severity: 'error',
      from: { path: '^src/', pathNot: `^src/(?:${[...ROOMS, 'cli', 'web'].join('|')})/` },
      to: {},
    },
    {
      name: 'pure-without-node',
      comment: 'node:* belongs to host/, cli/ and web/server/',
      severity: 'error',
      from: { path: '^src/', pathNot: SHELL },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'pure-without-libraries',
      comment: 'native libraries and libraries that touch the machine belong to host/, cli/ and web/server/',
      severity: 'error',
      from: { path: '^src/', pathNot: SHELL },
      to: { path: 'node_modules/', pathNot: PURE_LIBRARIES },
    },
    {
      name: 'pure-without-host',
      comment: 'pure files never import host/; the shell passes it in through an interface',
      severity: 'error',
      from: { path: '^src/', pathNot: SHELL },
      to: { path: '/host/' },
    },
    {
      name: 'faces-only',
      comment: 'a room shows its neighbours index.ts and host/index.ts; the rest is private',
      severity: 'error',
      from: { path: '^src/([^/]+)/' },
      to: { path: '^src/[^/]+/', pathNot: ['^src/$1/', '^src/[^/]+/(?:host/)?index\\.ts$'] },
    },
    {
      name: 'cli-computes-nothing',
      comment: 'cli/ parses, calls and renders; statistics are computed where the report is made',
      severity: 'error',
      from: { path: '^src/cli/' },
      to: { path: '^src/stats/' },
    },
    {
      name: 'no-circular-imports',
      comment: 'two files that import each other are one file',
      severity: 'error',
      from: { path: '^src/' },
      to: { circular: true },
    },
    {
      name: 'resolvable',
      comment: 'an import that cannot be found is checked by no other rule',
      severity: 'error',
      from: { path: '^src/' },
      to: { couldNotResolve: true },
    },
  ],
  options: {
    exclude: { path: ['\\.test\\.ts$'] },
    doNotFollow: { path: 'node_modules' },
    // Imports of types alone count as well: they are how one room comes to know another.
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default'] },
  },
};
