"""Codes of data and of commands."""

from recommons.common.codes.code import Code

__all__ = ["USE"]

USE: dict[str, Code] = {
    "input/argument": Code(
        meaning="An argument or option is of the wrong type, size or range.",
        remedy="Give the named argument a value of the kind the message asks for.",
    ),
    "data/empty": Code(
        meaning="A file, a part of one or the catalogue has no rows that count.",
        remedy="Provide at least one row of data, or check that the path is the intended file.",
    ),
    "data/not-found": Code(
        meaning="No file or folder is at the path, or no file fits the pattern.",
        remedy="Check the path; it names neither a file nor a folder.",
    ),
    "data/format": Code(
        meaning="The file's ending names no format that is read.",
        remedy="Use a .parquet, .csv, .tsv or .jsonl file, or a published MovieLens layout.",
    ),
    "data/no-events": Code(
        meaning="The folder holds no file of events under a known name.",
        remedy="Put a file of events (events.parquet, events.csv, ...) into the folder.",
    ),
    "data/ambiguous": Code(
        meaning="Two files or columns could be meant, and nothing says which.",
        remedy="Keep one of the named files or columns, or name the one that is meant.",
    ),
    "data/missing-column": Code(
        meaning="A column that is required, or to which a name is mapped, is not in the file.",
        remedy="Add the column, or map the name it has in the file: by --columns, or under "
        "[columns] of a site's data.toml.",
    ),
    "data/missing-value": Code(
        meaning="A cell that must hold an id or a time is empty.",
        remedy="Fill the cell, or remove the row from the file.",
    ),
    "data/empty-column": Code(
        meaning="Every cell of a column that is used is empty.",
        remedy="Fill the column, or map the column that holds the values: by "
        "--columns, or under [columns] of a site's data.toml.",
    ),
    "data/unreadable": Code(
        meaning="A file, row or cell does not hold what its column must hold.",
        remedy="Correct the named row to what the message asks for, or remove it.",
    ),
    "data/bad-rows": Code(
        meaning="More rows of a site's events cannot be read than its data.toml allows; rounds "
        "leave them out.",
        remedy="Mend or remove the rows of the kinds that `recommons site data check` counts, or "
        "raise check.most_bad_rows in data.toml.",
    ),
    "data/no-users": Code(
        meaning="No user of a site's data has an event that counts, or none on an item of the "
        "catalogue; asked for by checks, never in a round.",
        remedy="Compare the item ids of the events with the catalogue's (`recommons site catalogue "
        "show`), name the column that holds them under [columns] of data.toml, and see that "
        "[filter] there leaves events in.",
    ),
    "data/encoding": Code(
        meaning="A text file is not UTF-8.",
        remedy="Save the file as UTF-8; `iconv -f LATIN1 -t UTF-8` often does.",
    ),
    "data/duplicate-item": Code(
        meaning="The file of items describes one item twice.",
        remedy="Keep one row for each item in the file of items.",
    ),
    "data/negative-time": Code(
        meaning="An event's time lies before 1970.",
        remedy="Give times as seconds since 1970 or as ISO 8601, none before 1970.",
    ),
    "data/time-unit": Code(
        meaning="A number in a column of times is neither seconds since 1970 nor milli-, micro- or "
        "nanoseconds of a year from 1995 to 2099.",
        remedy="Give times as seconds since 1970, or as ISO 8601, which says what it counts.",
    ),
    "data/benchmark": Code(
        meaning="Only one of the two files of a published benchmark is there, or one does not fit "
        "the data.",
        remedy="Make the files in benchmark/ name users and pairs of this data set only.",
    ),
    "data/unknown-item": Code(
        meaning="No row of the file names an item of the catalogue.",
        remedy="Use the item ids of the catalogue; none of the file's ids is in it.",
    ),
    "data/settings": Code(
        meaning="The site's data.toml cannot be read, is not TOML, or a key in it is not as "
        "required.",
        remedy="Correct the named entry of the site's data.toml (docs/site-guide.md).",
    ),
    "data/password": Code(
        meaning="data.toml holds a password, or the variable or file it names for one cannot be "
        "read.",
        remedy="Name the environment variable or the file that holds the password (password_env, "
        "password_file in data.toml), and take the password itself out of the URL.",
    ),
    "data/driver": Code(
        meaning="The database driver that the URL asks for is not installed.",
        remedy="Install the database's driver for SQLAlchemy, e.g. `pip install "
        "'recommons[postgres]'`.",
    ),
    "data/database": Code(
        meaning="The database could not be opened, did not answer or refused the query.",
        remedy="Run the query with the database's own client under the same account; for an "
        "SQLSTATE see the database's manual. A relative file of SQLite lies in the site's folder.",
    ),
    "data/changed": Code(
        meaning="A file of events, or the site's copy of them, changed while it was read.",
        remedy="Nothing to do if it happens once: the data are read again. Replace files as a "
        "whole (write beside, then rename) while a site runs.",
    ),
    "data/too-few-users": Code(
        meaning="There are fewer users than the split or the number of sites needs.",
        remedy="Use more data, or fewer sites: there are not enough users to divide.",
    ),
    "data/no-attribute": Code(
        meaning="Users were to be divided by country, and the events name none.",
        remedy="Use --partition uniform or skewed, or map the column of countries.",
    ),
    "data/catalogue": Code(
        meaning="The document is not a catalogue, is of another version or longer than a site "
        "takes from its coordinator, or its parts do not fit together.",
        remedy="Fetch the catalogue again (`recommons site catalogue fetch`); where the "
        "coordinator's is at fault, its operator makes it anew by `recommons catalogue`.",
    ),
    "command/unavailable": Code(
        meaning="The command's own code cannot be imported.",
        remedy="Install what the command needs, or reinstall recommons.",
    ),
    "command/usage": Code(
        meaning="The command line names an unknown option or lacks an argument.",
        remedy="See the command's --help for its options and an example.",
    ),
    "command/system": Code(
        meaning="The operating system refused: a file, the disk, memory or a port.",
        remedy="Free the resource or correct the path the message names, and run it again.",
    ),
    "command/fault": Code(
        meaning="A fault of this software that has no code of its own.",
        remedy="Run it again with RECOMMONS_DEBUG=1 and report the traceback, once you have seen "
        "that it holds no data of yours.",
    ),
    "recommend/unknown-interest": Code(
        meaning="A word given as an interest is no label and in no title of the catalogue.",
        remedy="Give a label of the catalogue, or words of a title.",
    ),
    "recommend/unknown-item": Code(
        meaning="An item given is not in the model's catalogue.",
        remedy="Give ids from the model's catalogue (item_ids in model/model.json).",
    ),
    "recommend/unknown-site": Code(
        meaning="The run has no such site, or that site has not chosen a model to serve.",
        remedy="Name one of the folders under sites/ in the output of the run.",
    ),
    "recommend/output": Code(
        meaning="The output file's ending is not one that is written, or it cannot be there.",
        remedy="Name an output file that ends in .parquet, .csv or .jsonl.",
    ),
    "budget/picture": Code(
        meaning="The picture's file name does not end in .svg.",
        remedy="Name a file that ends in .svg.",
    ),
    "console/folder": Code(
        meaning="The path is neither a coordinator's home nor a run's folder.",
        remedy="Name the coordinator's home, or the coordinator's folder of a simulation.",
    ),
    "console/form": Code(
        meaning="A form was sent without the session's own token.",
        remedy="Go back, load the page again and send the form once more: the session has ended, "
        "or another page sent it.",
    ),
    "console/host": Code(
        meaning="The console was called under a name it was not started with.",
        remedy="Open the console under 127.0.0.1 or localhost, or start it with --name for the "
        "name it is reached by.",
    ),
    "console/password": Code(
        meaning="The file with the console's password is not as it was written.",
        remedy="Start the console with --new-password; console.json is not as it was written.",
    ),
    "console/port": Code(
        meaning="The console cannot listen on the address and port.",
        remedy="Choose another --port, or end the program that listens there.",
    ),
    "console/tls": Code(
        meaning="The console was to listen beyond loopback without TLS, or with half of what TLS "
        "needs.",
        remedy="Listen on 127.0.0.1 and reach the console through a tunnel, or give both "
        "--tls-certificate and --tls-key.",
    ),
    "bench/run": Code(
        meaning="A run that a benchmark or a comparison needs did not come to its end.",
        remedy="Run the same `recommons simulate` by itself to see where it fails.",
    ),
    "bench/output": Code(
        meaning="Results cannot be written to the folder or file that was named.",
        remedy="Name a folder (or for some a file) that you may write, or leave --output out.",
    ),
    "bench/wrong": Code(
        meaning="What was measured also gave a wrong result.",
        remedy="Report it with the output: what was measured gave a wrong result.",
    ),
}
