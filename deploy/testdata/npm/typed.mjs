// Writes a dashboard as a TypeScript program in which each part of it has the type that Grafana gives it, so that the
// compiler finds what Grafana would not know: node typed.mjs rollcall.json > dashboard.ts
//
// A panel's queries are not looked at, whose type belongs to the data source and is not published.
import { readFileSync } from 'node:fs';

const dashboard = JSON.parse(readFileSync(process.argv[2], 'utf8'));
// The folder of each type of panel, and whether it has settings of fields that are its own.
const types = {
  bargauge: ['bargauge', false],
  heatmap: ['heatmap', true],
  stat: ['stat', false],
  'state-timeline': ['statetimeline', true],
  table: ['table', true],
  text: ['text', false],
  timeseries: ['timeseries', true],
};

const out = ["import type { Dashboard, FieldConfigSource, Panel, RowPanel } from '@grafana/schema';"];
for (const [folder] of Object.values(types)) {
  out.push(`import type * as ${folder} from './node_modules/@grafana/schema/dist/types/raw/composable/${folder}/panelcfg/x/types.gen';`);
}
out.push(
  '// What a type looks like in JSON, where an enumeration is its text.',
  'type Json<T> = T extends string ? `${T}` : T extends (infer U)[] ? Json<U>[] : T extends object ? { [K in keyof T]: Json<T[K]> } : T;',
  'const parts: unknown[] = [];',
);
const part = (type, value) => out.push(`parts.push(${JSON.stringify(value)} satisfies Json<${type}>);`);

const panel = ({ fieldConfig, options, ...rest }) => {
  if (!types[rest.type]) throw new Error(`${rest.title}: panels of the type ${rest.type} are not checked: add it`);
  const [folder, fields] = types[rest.type];
  out.push(`// ${rest.title}`);
  part('Panel', rest);
  part(`Partial<${folder}.Options>`, options);
  if (!fieldConfig) return;
  const { custom, ...defaults } = fieldConfig.defaults;
  part("FieldConfigSource['defaults']", defaults);
  part("FieldConfigSource['overrides']", fieldConfig.overrides);
  if (custom) part(fields ? `Partial<${folder}.FieldConfig>` : 'Record<string, never>', custom);
};

const { panels, annotations, ...rest } = dashboard;
for (const { target, titleFormat, textFormat, tagKeys, ...a } of annotations.list) part("NonNullable<NonNullable<Dashboard['annotations']>['list']>[0]", a);
part('Dashboard', rest);
for (const p of panels) {
  if (p.type !== 'row') {
    panel(p);
    continue;
  }
  part('RowPanel', { ...p, panels: [] });
  p.panels.forEach(panel);
}

// The compiler would find these.
out.push('// @ts-expect-error: no such option');
part('Partial<stat.Options>', { colourMode: 'value' });
out.push('// @ts-expect-error: no such value');
part('Partial<stat.Options>', { colorMode: 'colourful' });
out.push('// @ts-expect-error: no such setting');
part('Dashboard', { schemaVersion: 42, pannels: [] });
process.stdout.write(out.join('\n') + '\n');
