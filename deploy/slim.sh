#!/bin/sh
# Remove from an environment what MinerPulse never uses, and compile what it does: slim.sh ENVIRONMENT.
set -eu
packages=$(echo "$1"/lib/python3.*/site-packages)
rm -rf "$packages"/pip "$packages"/pip-*.dist-info "$packages"/setuptools "$packages"/setuptools-*.dist-info
rm -rf "$packages"/matplotlib/mpl-data/sample_data "$packages"/matplotlib/backends/web_backend
# What matplotlib needs for PDF and PostScript only; MinerPulse draws PNG.
rm -rf "$packages"/matplotlib/mpl-data/fonts/afm "$packages"/matplotlib/mpl-data/fonts/pdfcorefonts
find "$packages"/fontTools -mindepth 1 -maxdepth 1 -type d ! -name misc -exec rm -rf {} + # it imports fontTools.agl alone
# Fonts for formulas and serifs; MinerPulse draws with its own font, and matplotlib falls back to the two that stay.
find "$packages"/matplotlib/mpl-data/fonts/ttf -name '*.ttf' ! -name 'DejaVuSans.ttf' ! -name 'DejaVuSans-*' ! -name 'LastResort*' -delete
# Databases, languages and build files that MinerPulse doesn't use.
rm -rf "$packages"/sqlalchemy/dialects/mysql "$packages"/sqlalchemy/dialects/mssql "$packages"/sqlalchemy/dialects/oracle
find "$packages"/pygments/lexers -type f ! -name '_*' ! -name 'special.py' ! -name 'text.py' ! -name 'python.py' -delete
rm -rf "$packages"/numpy/f2py "$packages"/numpy/_core/include
find "$packages" -name '*.a' -type f -delete
# Tests of the dependencies; numpy.testing and pandas.testing are imported by the packages themselves and stay.
find "$packages" -type d -name tests -prune -exec rm -rf {} +
find "$packages" -type d -name __pycache__ -prune -exec rm -rf {} +
find "$packages" \( -name '*.pyi' -o -name '*.pxd' -o -name '*.c' -o -name '*.h' -o -name '*.hpp' \) -type f -delete
# Bytecode of the app, and of what it imports: the rest would take 50 MB more.
"$1"/bin/python3 -m compileall -q -j 0 "$packages"/minerpulse
work=$(mktemp -d)
cd "$work"
export MINERPULSE_ETF_SOURCES=simulated MINERPULSE_CRYPTO_SOURCES=simulated MINERPULSE_DATABASE_URL=sqlite:///build.db
"$1"/bin/minerpulse migrate
"$1"/bin/minerpulse chart -o build.png > build.log
"$1"/bin/minerpulse doctor > build.log
"$1"/bin/minerpulse run --check || test $? = 3 # no tokens are set
"$1"/bin/python3 -c 'import cryptography.fernet, exchange_calendars, pandas, psycopg, sqlalchemy.dialects.postgresql.psycopg, slack_bolt.async_app'
rm -rf "$work"
