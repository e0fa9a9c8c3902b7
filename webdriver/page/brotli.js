// Prints how many bytes files take by brotli at its best, all together: `node -e … FOLDER FILE…`. The folder keeps the counts by content.
const [folder, ...files] = process.argv.slice(1);
const fs = require('node:fs');
const { createHash } = require('node:crypto');
const compress = require('node:util').promisify(require('node:zlib').brotliCompress);

async function counted(file) {
  const bytes = fs.readFileSync(file);
  const kept = `${folder}/${createHash('sha256').update(bytes).digest('hex')}`;
  if (fs.existsSync(kept)) return Number(fs.readFileSync(kept, 'utf8'));
  const { length } = await compress(bytes);
  // Whole or not at all, whoever else counts.
  fs.writeFileSync(`${kept}.${process.pid}`, String(length));
  fs.renameSync(`${kept}.${process.pid}`, kept);
  return length;
}

fs.mkdirSync(folder, { recursive: true });
Promise.all(files.map(counted)).then((counts) => console.log(counts.reduce((sum, count) => sum + count, 0)));
