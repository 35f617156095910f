complete -c smd-loop -l notify -d 'Tell CMD (notify-send) what needs a person' -r
complete -c smd-loop -l no-watch -d 'Sync by the minutes only, a connection each time'
complete -c smd-loop -s v -l verbose -d 'Say what each run did; twice: message by message'
complete -c smd-loop -l status -d 'Say how the running loop fares, and end'
complete -c smd-loop -l json -d 'With --status: one JSON object'
complete -c smd-loop -s V -l version -d 'Print the version'
complete -c smd-loop -s h -l help -d 'Print help'
