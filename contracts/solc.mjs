#!/usr/bin/env node
// npm's solc as the program that forge runs:  --version, or --standard-json from stdin to stdout

import { readFileSync, writeSync } from "node:fs";
import solc from "solc";

const isQuestion = process.argv.includes("--version");
writeSync(1, isQuestion ? `solc\nVersion: ${solc.version()}\n` : solc.compile(readFileSync(0, "utf8")));
