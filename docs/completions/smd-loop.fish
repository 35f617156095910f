complete -c smd-loop -l notify -d 'Run CMD (notify-send) when something needs your attention' -r
complete -c smd-loop -l no-watch -d 'Sync by the minutes only, a connection each time'
complete -c smd-loop -s v -l verbose -d 'Say what each run did; twice: message by message'
complete -c smd-loop -l status -d 'Show the status of the loop, and exit'
complete -c smd-loop -l json -d 'With --status: one JSON object'
complete -c smd-loop -s V -l version -d 'Print the version'
complete -c smd-loop -s h -l help -d 'Print help'
function __smd_loop_words
    sh -c 'for file in "${SMD_HOME:-$HOME/.smd}"/config.*; do name=${file##*/config.}; case $name in *[!A-Za-z0-9._-]* | -* | .*) ;; *) test -f "$file" && echo "$name" ;; esac; done'
end
complete -c smd-loop -f -a '(__smd_loop_words)'
