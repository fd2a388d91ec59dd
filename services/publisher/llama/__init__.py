"""Files for llama.cpp and Ollama, compared with the model that they were made from before anybody gets them."""
