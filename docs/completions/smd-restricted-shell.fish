complete -c smd-restricted-shell -l root -d 'A Maildir of this key, as clients call it, or by a name; none: those below the home directory' -r
complete -c smd-restricted-shell -l allow -d 'What it is for: pull, push, undo, reports; by default pull,push' -r -f -a "pull\t''
push\t''
undo\t''
reports\t''"
complete -c smd-restricted-shell -l client -d 'The name of this key in logs and budgets' -r
complete -c smd-restricted-shell -l max-remove -d 'Messages that it may remove in 24 hours; by default the larger of 10 % of the root and 20' -r
complete -c smd-restricted-shell -l keep-free -d 'Room that it must leave on the disk: 500M, 2G' -r
complete -c smd-restricted-shell -l max-message -d 'The largest message that it may bring' -r
complete -c smd-restricted-shell -l max-bytes -d 'How much it may bring in one run' -r
complete -c smd-restricted-shell -l max-bytes-day -d 'How much it may bring in 24 hours' -r
complete -c smd-restricted-shell -l state -d 'Where state lies, in place of ~/.smd' -r -F
complete -c smd-restricted-shell -l append-only -d 'Pushes add messages and folders and change flags but T; nothing else'
complete -c smd-restricted-shell -l no-delete -d 'Pushes delete and replace nothing'
complete -c smd-restricted-shell -l require-sandbox -d 'Serve nothing where this host lacks a barrier'
complete -c smd-restricted-shell -s V -l version -d 'Print the version'
complete -c smd-restricted-shell -s h -l help -d 'Print help'
