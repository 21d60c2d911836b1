#!/bin/bash -e
started_at=$(date --utc +%Y-%m-%dT%H:%M:%SZ)
page="$folder/index.html"
# The greeting comes from a person: it must not become markup.
safe=${greeting//&/\&amp;}
safe=${safe//</\&lt;}
safe=${safe//>/\&gt;}
cat > "$page" <<HTML
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>$safe</title>
<body style="margin:0;min-height:100vh;display:grid;place-content:center;text-align:center;font-family:sans-serif;color:white;background:$colour">
<h1>$safe</h1>
<p>on $(hostname), since $started_at</p>
</html>
HTML
chmod 644 "$page"
ctx instance runtime-properties page "$page"
ctx instance runtime-properties address "file://$page"
ctx instance runtime-properties greeting "$greeting"
ctx instance runtime-properties started_at "$started_at"
ctx logger info "The page is at file://$page"
