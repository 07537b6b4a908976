/*
 * SQLite as a guest.
 *
 *   sqlite workload DATABASE [--rounds N]    a fixed workload, in memory and in the file DATABASE
 *   sqlite shell [DATABASE]                  runs SQL from the standard input, as a shell would
 *
 * The workload deletes DATABASE first. Exit status 1 when a statement of the shell failed, 3 when
 * the workload found its data damaged.
 */
#include "../guest.h"
#include "sqlite3.h"
#include "vfs.h"

static sqlite3 *open_database(const char *path)
{
    sqlite3 *database;
    if (sqlite3_open(path, &database) != SQLITE_OK)
        fail(EXIT_USAGE, "sqlite: %s cannot be opened: %s", path, sqlite3_errmsg(database));
    return database;
}

/* One line of output for each row, with the columns separated by "|". */
static int print_row(void *prefix, int columns, char **values, char **names)
{
    (void)names;
    fputs(prefix, stdout);
    for (int column = 0; column < columns; column++)
        printf("%s%s", column == 0 ? "" : "|", values[column] == NULL ? "" : values[column]);
    putchar('\n');
    fflush(stdout);
    return 0;
}

static const char schema[] =
    "CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, city TEXT NOT NULL);"
    "CREATE TABLE sale (id INTEGER PRIMARY KEY, customer INTEGER NOT NULL REFERENCES customer,"
    "  round INTEGER NOT NULL, cents INTEGER NOT NULL, note TEXT);"
    "CREATE INDEX sale_by_customer ON sale (customer, cents);"
    "CREATE INDEX sale_by_round ON sale (round);"
    "CREATE TABLE disk.summary (round INTEGER, city TEXT, sales INTEGER, cents INTEGER, best INTEGER,"
    "  PRIMARY KEY (round, city)) WITHOUT ROWID;"
    "CREATE TABLE disk.journal (id INTEGER PRIMARY KEY, line TEXT NOT NULL);"
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)"
    "  INSERT INTO customer SELECT i, printf('customer-%03d', i),"
    "    CASE i * 7 % 5 WHEN 0 THEN 'Ghent' WHEN 1 THEN 'Turku' WHEN 2 THEN 'Porto' WHEN 3 THEN 'Graz' ELSE 'Lviv' END"
    "  FROM n;";

/* ?1 is the number of the round. Sales of old rounds are deleted, so the size stays bounded. */
static const char *const round_statements[] = {
    "BEGIN",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)"
    "  INSERT INTO sale (customer, round, cents, note)"
    "  SELECT (i * 7919 + ?1 * 104729) % 400 + 1, ?1, (i * i + ?1 * 31) % 9973,"
    "    printf('%x-%s', i * ?1, substr('lorem ipsum dolor sit amet', i % 20 + 1, 6)) FROM n",
    "UPDATE sale SET cents = cents + 1 WHERE customer IN (SELECT id FROM customer WHERE id % 50 = ?1 % 50)",
    "DELETE FROM sale WHERE round <= ?1 - 20",
    "INSERT INTO disk.summary SELECT ?1, city, count(*), sum(cents), max(cents)"
    "  FROM sale JOIN customer ON customer.id = sale.customer GROUP BY city",
    "INSERT INTO disk.journal (line) SELECT printf('%d %s %d', ?1, name, total) FROM"
    "  (SELECT name, sum(cents) AS total, rank() OVER (ORDER BY sum(cents) DESC, name) AS place"
    "   FROM sale JOIN customer ON customer.id = sale.customer GROUP BY customer.id) WHERE place <= 10",
    "DELETE FROM disk.journal WHERE id <= (SELECT max(id) FROM disk.journal) - 500",
    "COMMIT",
};

static const char report_statement[] =
    "SELECT printf('round %d: ', ?1) || count(*) || ' sales, ' || printf('%.2f', sum(cents) / 100.0) || ' in all, best ' ||"
    "  (SELECT city || ' ' || cents FROM disk.summary WHERE round = ?1 ORDER BY cents DESC, city LIMIT 1) ||"
    "  ', longest note ' || max(length(note)) || ', ' || (SELECT count(DISTINCT line) FROM disk.journal) || ' lines on disk'"
    "  FROM sale WHERE note LIKE '%or%' OR cents > 100";

/* Runs one statement with ?1 bound and prints its rows. */
static void run_statement(sqlite3 *database, const char *sql, uint64_t round)
{
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(database, sql, -1, &statement, NULL) != SQLITE_OK)
        fail(EXIT_BROKEN, "sqlite: %s: %s", sqlite3_errmsg(database), sql);
    if (sqlite3_bind_parameter_count(statement) > 0)
        sqlite3_bind_int64(statement, 1, (sqlite3_int64)round);
    int status;
    while ((status = sqlite3_step(statement)) == SQLITE_ROW)
        say("%s", (const char *)sqlite3_column_text(statement, 0));
    if (status != SQLITE_DONE)
        fail(EXIT_BROKEN, "sqlite: round %llu: %s", (unsigned long long)round, sqlite3_errmsg(database));
    sqlite3_finalize(statement);
}

static void execute(sqlite3 *database, const char *sql, const char *prefix)
{
    char *message = NULL;
    if (sqlite3_exec(database, sql, print_row, (void *)prefix, &message) != SQLITE_OK)
        fail(EXIT_BROKEN, "sqlite: %s", message);
}

static void run_workload(const char *path, uint64_t rounds)
{
    if (delete_database(path) != 0)
        fail(EXIT_USAGE, "sqlite: %s cannot be deleted: %s", path, strerror(errno));
    sqlite3 *database = open_database(":memory:");
    char *attach = sqlite3_mprintf("ATTACH %Q AS disk", path);
    execute(database, attach, "");
    sqlite3_free(attach);
    execute(database, schema, "");
    for (uint64_t round = 1; round <= rounds; round++) {
        for (size_t index = 0; index < sizeof round_statements / sizeof round_statements[0]; index++)
            run_statement(database, round_statements[index], round);
        run_statement(database, report_statement, round);
        if (round % 25 == 0) {
            execute(database, "PRAGMA main.integrity_check; PRAGMA disk.integrity_check", "integrity check: ");
            execute(database, "VACUUM disk", "");
        }
    }
    execute(database, "SELECT city, count(*), sum(cents), max(best) FROM disk.summary GROUP BY city ORDER BY city", "");
    execute(database, "SELECT max(id), count(*), max(line) FROM disk.journal", "journal: ");
    sqlite3_close(database);
}

/* Statements may span lines; each is run as soon as it is complete. Returns the exit status. */
static int run_shell(const char *path)
{
    static char text[65536];
    size_t used = 0;
    int status = 0;
    sqlite3 *database = open_database(path);
    while (fgets(text + used, (int)(sizeof text - used), stdin) != NULL) {
        used += strlen(text + used);
        if (used + 1 == sizeof text)
            fail(EXIT_USAGE, "sqlite: a statement is longer than %zu bytes", sizeof text);
        if (!sqlite3_complete(text))
            continue;
        char *message = NULL;
        if (sqlite3_exec(database, text, print_row, "", &message) != SQLITE_OK) {
            say("error: %s", message);
            sqlite3_free(message);
            status = 1;
        }
        used = 0;
    }
    sqlite3_close(database);
    if (used != 0 && text[strspn(text, " \t\r\n")] != '\0') {
        say("error: the last statement is incomplete");
        status = 1;
    }
    return status;
}

int main(int argc, char **argv)
{
    static const char usage[] = "usage: sqlite workload DATABASE [--rounds N], or sqlite shell [DATABASE]";
    if (argc >= 2 && argc <= 3 && strcmp(argv[1], "shell") == 0)
        return run_shell(argc == 3 ? argv[2] : ":memory:");
    if (argc < 3 || strcmp(argv[1], "workload") != 0)
        fail(EXIT_USAGE, usage);
    uint64_t rounds = 60;
    const char *const names[] = {"rounds"};
    uint64_t *const values[] = {&rounds};
    if (PARSE_OPTIONS(argc - 2, argv + 2, names, values) != argc - 2)
        fail(EXIT_USAGE, usage);
    run_workload(argv[2], rounds);
    return 0;
}
