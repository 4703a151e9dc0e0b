export interface Book {
  id: number;
  title: string;
  author: string;
}

export const books: readonly Book[] = [
  { id: 1, title: "The Periodic Table", author: "Primo Levi" },
  { id: 2, title: "A Room of One's Own", author: "Virginia Woolf" },
  { id: 3, title: "Invisible Cities", author: "Italo Calvino" },
];
