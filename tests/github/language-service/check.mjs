// Reads {repository, files: {path: text}, documents: [{path, text}]} and writes what GitHub would say of the documents:
// [{path, line, message}]. `files` is our repository: action.yml files and workflows that others may use.
import { register } from "node:module";
import { text } from "node:stream/consumers";

register("./json-modules.mjs", import.meta.url);
const { validate } = await import("@actions/languageservice");
const { TextDocument } = await import("vscode-languageserver-textdocument");
const { parse } = await import("yaml");

const { repository, files, documents } = JSON.parse(await text(process.stdin));

const actionsMetadataProvider = {
  // Actions of others are not looked up: a network is not part of this test.
  async fetchActionMetadata({ name, path }) {
    if (name !== repository) return { name, description: "" };
    const action = files[path ? `${path}/action.yml` : "action.yml"];
    return action && parse(action);
  },
};
const fileProvider = {
  async getFileContent(reference) {
    const ours = !("repository" in reference) || reference.repository === repository;
    const path = [reference.path, `${reference.path}/action.yml`].find((name) => name in files);
    if (!ours || !path) throw new Error(`${reference.path} is not in this repository`);
    return { name: path, content: files[path] };
  },
};

const found = [];
for (const { path, text } of documents) {
  const document = TextDocument.create(`file:///${path}`, "yaml", 1, text);
  for (const { range, message } of await validate(document, { actionsMetadataProvider, fileProvider })) {
    found.push({ path, line: range.start.line + 1, message });
  }
}
process.stdout.write(JSON.stringify(found));
