import type { Book } from "./books.ts";

export function Page({ books }: { books: readonly Book[] }) {
  return (
    <html lang="en">
      <head>
        <title>Books</title>
      </head>
      <body>
        <h1>Books</h1>
        <ul>
          {books.map((book) => (
            <li>
              <a href={`api/books/${book.id}`}>{book.title}</a>, {book.author}
            </li>
          ))}
        </ul>
      </body>
    </html>
  );
}
