/** The function that all contenders run: JSON in, JSON out. */
const handler = "function handler(body) { return { echo: body }; }";

/** As a module, for Thimble. */
export const echoModule = `export ${handler}`;

/** As a script for engines without a host interface of their own: its value is a function from text to text. */
export const echoScript = `${handler}; (text) => JSON.stringify(handler(JSON.parse(text)));`;

/** The text that goes in. */
export const echoInput = JSON.stringify({
  action: "order",
  customer: { name: "Ada Lovelace", city: "London", since: 1843 },
  items: [
    { title: "Notes on the analytical engine", count: 2, price: 12.5 },
    { title: "Punched cards", count: 4096, price: 0.01 },
  ],
  paid: true,
});

/** The text that must come out. */
export const echoOutput = JSON.stringify({ echo: JSON.parse(echoInput) });
