import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { edgeTarget } from "../gateway/edge/target.ts";

describe("what a request target asks for", () => {
  const good: [host: string, target: string, name: string, url: string][] = [
    ["h", "/f/a", "a", "http://h/"],
    ["h:81", "/f/a/", "a", "http://h:81/"],
    ["h", "/f/a/b/c?d=e", "a", "http://h/b/c?d=e"],
    ["h", "/f/a?x=/y", "a", "http://h/?x=/y"],
    ["[::1]:8787", "/f/a-b@1f/x", "a-b@1f", "http://[::1]:8787/x"],
    ["h", "/f/a/b/../c", "a", "http://h/c"],
    ["h", "/f/a/./c", "a", "http://h/c"],
    ["h", "/f/a/b/%2e%2E/c?d=%2e", "a", "http://h/c?d=%2e"],
    ["h", "/f/b/%2e%2e/a", "a", "http://h/"],
    ["h", "/f/a/b%20c%2fd", "a", "http://h/b%20c%2fd"],
    ["h", "/f/a/file.txt", "a", "http://h/file.txt"],
    ["h", "/f/a/.well-known/x", "a", "http://h/.well-known/x"],
    ["h", "/f/a/x..y", "a", "http://h/x..y"],
    ["h", "/f/a//b", "a", "http://h//b"],
    ["h", '/f/a/"x"', "a", "http://h/%22x%22"],
    ["h", "/f/a/x\\y", "a", "http://h/x/y"],
    ["h", "/f/a?x#y", "a", "http://h/?x"],
    ["other", "http://h:81/f/a/b?c", "a", "http://h:81/b?c"],
  ];
  for (const [host, target, name, url] of good) {
    test(`${target} of ${host}`, () => {
      assert.deepEqual(edgeTarget(host, target), { name, url });
      assert.equal(new URL(url).href, url, "nothing is left to normalise");
    });
  }

  const bad: [host: string, target: string, code: string][] = [
    ["a/b", "/f/a", "invalid_input"],
    ["", "/f/a", "invalid_input"],
    ["u@h", "/f/a", "invalid_input"],
    ["h h", "/f/a/../b", "invalid_input"],
    ["h", "ftp://h/f/a", "invalid_input"],
    ["h", "http://u@/f/a", "invalid_input"],
    ["h", "*", "invalid_input"],
    ["h", "/f/../admin", "not_found"],
    ["h", "/f/a/%2E%2e/%2e./x", "not_found"],
    ["h", "/f/a/../../x", "not_found"],
    ["h", "/x/f/a", "not_found"],
  ];
  for (const [host, target, code] of bad) {
    test(`${target} of ${JSON.stringify(host)} is refused`, () => {
      assert.throws(() => edgeTarget(host, target), { code });
    });
  }
});
