// Every file directly in scripts/ becomes dist/<its name>.js; what two of them share becomes a chunk of its own.
import { readdirSync } from "node:fs";
import { defineConfig } from "vite";

const families = readdirSync("scripts").filter((name) => name.endsWith(".ts"));

export default defineConfig({
  publicDir: false,
  build: {
    outDir: "dist",
    target: "es2022",
    modulePreload: false,
    reportCompressedSize: false,
    rolldownOptions: {
      input: Object.fromEntries(families.map((name) => [name.slice(0, -3), `scripts/${name}`])),
      output: { entryFileNames: "[name].js", chunkFileNames: "[name]-[hash].js" },
    },
  },
});
