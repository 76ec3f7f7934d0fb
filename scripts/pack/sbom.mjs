// @ts-check
// A CycloneDX list of what a binary package contains: what is linked into it, with versions, and the hashes of its files.

/** @typedef {{ name: string, version?: string, licence?: string }} Component */

/**
 * @param {{ name: string, version: string }} manifest
 * @param {Component[]} components
 * @param {Record<string, { sha256: string }>} files
 */
export function sbom({ name, version }, components, files) {
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: { component: { type: 'library', name, version, purl: purl(name, version) } },
    components: [
      ...components.map(component => ({
        type: 'library',
        name: component.name,
        ...(component.version ? { version: component.version } : {}),
        ...(component.licence ? { licenses: [{ license: { id: component.licence } }] } : {}),
      })),
      ...Object.entries(files).map(([file, { sha256 }]) => ({
        type: 'file',
        name: file,
        hashes: [{ alg: 'SHA-256', content: sha256 }],
      })),
    ],
  }
}

/** @param {string} name @param {string} version */
const purl = (name, version) => `pkg:npm/${name.replace('@', '%40')}@${version}`
