// Kernels for the JavaScript engine: each is called by its number and answers with something to compare.
function fib(n) {
  return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

class Point {
  constructor(x, y) {
    this.x = x;
    this.y = y;
  }
  add(other) {
    return new Point(this.x + other.x, this.y + other.y);
  }
}

globalThis.kernels = {
  "JS: calls": () => fib(22),
  "JS: typed arrays": () => {
    const limit = 100_000;
    const sieve = new Uint8Array(limit + 1);
    let primes = 0;
    for (let i = 2; i <= limit; i++) {
      if (sieve[i]) continue;
      primes++;
      for (let j = i * 2; j <= limit; j += i) sieve[j] = 1;
    }
    return primes;
  },
  "JS: JSON": () => {
    const items = Array.from({ length: 2000 }, (_, id) => ({
      id,
      name: `item${id}`,
      tags: ["a", "b", String(id)],
      value: id * 1.5,
    }));
    return JSON.stringify(JSON.parse(JSON.stringify(items))).length;
  },
  "JS: sort": () => {
    const values = [];
    let x = 123456789;
    for (let i = 0; i < 20_000; i++) {
      x = (x * 1103515245 + 12345) & 0x7fffffff;
      values.push(x);
    }
    return values.sort((a, b) => a - b)[100];
  },
  "JS: strings and RegExp": () => {
    let text = "";
    for (let i = 0; i < 15_000; i++) text += `<li>${i}</li>`;
    return text.replace(/<li>(\d+)<\/li>/g, (_, digits) => `${digits},`).length;
  },
  "JS: objects": () => {
    let sum = new Point(0, 0);
    const step = new Point(1, 2);
    for (let i = 0; i < 40_000; i++) sum = sum.add(step);
    return sum.x;
  },
  "JS: maps": () => {
    const counts = new Map();
    for (let i = 0; i < 20_000; i++) counts.set(`k${i % 1000}`, (counts.get(`k${i % 1000}`) ?? 0) + 1);
    return counts.size;
  },
  "JS: floats": () => {
    let x = 0.5;
    for (let i = 0; i < 150_000; i++) x = Math.sin(x) * 3.7 * (1 - x) + i * 1e-9;
    return x;
  },
};
