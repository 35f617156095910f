complete -c smd-undo -s f -l folder -d 'Only messages of such folders; * and ? match, . is the root itself' -r
complete -c smd-undo -s m -l match -d 'Only messages with TEXT in From, Subject or Date' -r
complete -c smd-undo -s s -l since -d 'Only runs since then: 1h, today, 10:00, 2026-01-05' -r
complete -c smd-undo -l by -d 'Take back what this restricted key did; -l shows it' -r
complete -c smd-undo -l root -d 'Only the grave of this Maildir' -r -F
complete -c smd-undo -s r -l remote -d 'What runs deleted on the other host of it' -r
complete -c smd-undo -s e -l rsh -d 'What to run instead of ssh, with its options' -r
complete -c smd-undo -l remote-command -d 'Where smd-server is on the other host' -r
complete -c smd-undo -l color -d 'Colours: auto, always or never' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c smd-undo -s l -l list -d 'Show the messages of each run; change nothing'
complete -c smd-undo -l all -d 'Bring back all runs that would be listed'
complete -c smd-undo -s v -l verbose -d 'Name every message'
complete -c smd-undo -s q -l quiet -d 'Print errors only'
complete -c smd-undo -l json -d 'Print one JSON object'
complete -c smd-undo -s V -l version -d 'Print the version'
complete -c smd-undo -s h -l help -d 'Print help'
complete -c smd-undo -s r -l remote -x -a '(sh -c \'for file in "${SMD_HOME:-$HOME/.smd}"/config.*; do name=${file##*/config.}; case $name in *[!A-Za-z0-9._-]* | -* | .*) ;; *) test -f "$file" && echo "$name" ;; esac; done\')'
function __smd_undo_words
    sh -c 'for file in "${SMD_HOME:-$HOME/.smd}"/config.*; do name=${file##*/config.}; case $name in *[!A-Za-z0-9._-]* | -* | .*) ;; *) test -f "$file" && echo "$name" ;; esac; done; smd-undo 2> /dev/null | sed -n "s/^\([0-9]\{3,\}\)  .*/\1/p"'
end
complete -c smd-undo -a '(__smd_undo_words)'
